"""The look of each series, the same in all figures: colour, marker and dashes.

The hues are those of Okabe and Ito, which the colour-blind tell apart. Markers, dashes and
brightness differ as well, so that a figure can be printed in gray.
"""

from __future__ import annotations

BLUE, RED, ORANGE, GREEN, SKY = "#0072B2", "#D55E00", "#E69F00", "#009E73", "#7CC4EE"
BLACK, GRAY, DARK = "0.0", "0.6", "0.35"
SOLID, DASHED, DOTTED, MIXED = (), (4, 1.5), (1, 1.2), (5, 1.5, 1, 1.5)
LOOKS: dict[str, tuple[str, str, tuple[float, ...]]] = {
    "EqCo": (BLUE, "s", SOLID),
    "InfoNCE": (RED, "o", DASHED),
    "InfoNCE, full K": (GRAY, "o", SOLID),
    "EqCo, alpha 16": (BLUE, "v", DOTTED),
    "EqCo, alpha 256": (BLUE, "s", SOLID),
    "EqCo, alpha 65536": (BLUE, "^", DASHED),
    "ceiling log(K + 1)": (GRAY, "o", SOLID),
    "certified at alpha 256": (BLACK, "o", DOTTED),
    "true I": (GREEN, "o", MIXED),
    "random unit vectors": (ORANGE, "D", DASHED),
    "encoder, 0 % trained": (SKY, "o", SOLID),
    "encoder, 10 % trained": (GREEN, "v", SOLID),
    "encoder, 30 % trained": (BLUE, "^", SOLID),
    "encoder, 100 % trained": (BLACK, "s", SOLID),
    "bound on 100 % trained": (BLACK, "o", DOTTED),
    "slope of 1/√K": (GRAY, "o", MIXED),
    "EqCo, K = 16": (ORANGE, "o", SOLID),
    "EqCo, K = 255": (BLACK, "s", SOLID),
    "DCL, K = 16": (ORANGE, "o", DOTTED),
    "DCL, K = 255": (BLACK, "s", DASHED),
    "SiMo": (DARK, "D", SOLID),
    "MoCo v2": (DARK, "^", SOLID),
    "SimCLR": (DARK, "v", SOLID),
    "holds": (GREEN, "o", SOLID),
    "does not hold": (RED, "X", SOLID),
    "open": (DARK, "D", SOLID),
    "EqCo jackknife": (GREEN, "^", MIXED),
    "proportional": (GRAY, "o", SOLID),
    "not fitted": (GRAY, "o", SOLID),
    "power law": (DARK, "o", DASHED),
    "t = 0.1": (RED, "o", SOLID),
    "t = 0.2": (BLUE, "o", SOLID),
    "t = 0.5": (ORANGE, "o", SOLID),
}
for scale, colour, marker in (
    ("glyphs", BLUE, "o"),
    ("cifar10-quick", ORANGE, "s"),
    ("cifar10-cpu", GREEN, "D"),
    ("cifar10", RED, "^"),
):
    LOOKS[scale] = LOOKS[f"{scale}, measured"] = (colour, marker, SOLID)
    LOOKS[f"{scale}, CV² / 2K"] = (colour, marker, DASHED)
    LOOKS[f"{scale}, leading order"] = (colour, marker, DOTTED)
LOOKS["glyphs, 90 epochs"] = (BLACK, "^", DASHED)
LOOKS["glyphs, the paper's settings"] = (RED, "X", SOLID)
COLOURS = {name: colour for name, (colour, _, _) in LOOKS.items()}
MARKERS = {name: marker for name, (_, marker, _) in LOOKS.items()}
DASHES = {name: dashes for name, (_, _, dashes) in LOOKS.items()}
SHIFTS = {  # factors of x, so that bars of a panel stand side by side
    "EqCo jackknife": 1.03,
    "EqCo": 0.97,
    "InfoNCE": 1.03,
    "EqCo, K = 16": 0.95,
    "EqCo, K = 255": 1.05,
    "cifar10-quick": 1.08,
}

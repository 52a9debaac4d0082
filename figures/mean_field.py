"""Figure 4: from which K on EqCo is flat, predicted from an encoder, and what accuracy says."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from figures.evidence import base_of, gaps_to_full, of_recipes
from figures.style import HERE, SHADES, build, log_axis, panels
from reproductions import table1


def compute() -> pd.DataFrame:
    """Loss gaps of the encoders, each with the accuracy gap of EqCo at the same K and scale."""
    found = pd.read_csv(HERE / "diagnoses.csv")
    gaps = []
    for scale in found["scale"].unique():
        rows = table1.rows(scale, base_of(scale)).values()
        eqco = of_recipes(scale, [row for row in rows if row.loss == "eqco"])
        gaps.append(gaps_to_full(eqco).assign(scale=scale))
    return found.merge(pd.concat(gaps), on=["scale", "k"], how="left")


def draw(frame: pd.DataFrame) -> Figure:
    """Left: the loss gap against K. Right: the accuracy gap against the predicted loss gap."""
    figure, (left, right) = panels(2)
    full = frame[frame["encoder"] == "simo-infonce-k255"]
    for colour, (scale, part) in zip(SHADES.values(), full.groupby("scale"), strict=False):
        style = {"color": colour}
        seen = part[part["measured"] > 0]
        what = f"{scale}, measured"
        left.errorbar(seen["k"], seen["measured"], seen["error"], fmt="o", label=what, **style)
        left.plot(part["k"], part["coarse"], ls="--", label="CV² / 2K", **style)
        left.plot(part["k"], part["sharp"], ls=":", label="leading order", **style)
        left.axvline(part["cv2"].iloc[0], lw=0.6, **style)
        gaps = part.dropna(subset=["points"])
        style |= {"marker": "s", "capsize": 2, "label": f"{scale}, n = {gaps['n'].min():.0f}"}
        right.errorbar(gaps["sharp"], gaps["points"], gaps["half"], **style)
        for line in gaps.itertuples():
            at, offset = (line.sharp, line.points), (4, 5) if scale == "glyphs" else (4, -11)
            words = {"textcoords": "offset points", "fontsize": "small", "color": colour}
            right.annotate(f"K = {line.k}", at, xytext=offset, **words)
    left.axhline(0.05, color="0.6", lw=0.8)
    left.annotate("0.05 nats", (1, 0.055), color="0.4")
    left.set(xscale="log", yscale="log", ylim=(1e-3, 5), xlabel="K")
    left.set(ylabel="loss below its limit, nats", title="vertical lines: K = CV²")
    right.axhline(1.0, color="0.6", lw=0.8)
    log_axis(right, (0.05, 0.1, 0.2, 0.5))
    right.set(xlabel="predicted loss gap (leading order), nats", ylabel="EqCo: full K − K, points")
    right.set_title("accuracy gap of EqCo (line: 1 point)")
    left.legend()
    right.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    build("mean_field", compute, draw)

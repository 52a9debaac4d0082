"""Figure 1: the paper's mutual-information estimate against K, and what is certified."""

from __future__ import annotations

import math

import pandas as pd
import torch
from matplotlib.figure import Figure

from eqco.diagnose import loss_of_each
from eqco.testbeds import Gaussians
from eqco.theory import certified_bound, mean_of, nwj_bound, paper_estimate
from figures.style import COLOURS, DASHES, HERE, MARKERS, build, panels

COUNTS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
ALPHAS = (16, 256, 65536)
SAMPLES, CHUNK = 2000, 100
NAMES = ["bed", "information", "loss", "alpha", "k", "value", "error", "certified", "nwj"]


def gaussians(correlation: float) -> list[tuple[object, ...]]:
    """All losses at all K on one bed, the true ratio as critic."""
    bed, draw = Gaussians(correlation), torch.Generator().manual_seed(1)
    parts: dict[tuple[int, float], list[torch.Tensor]] = {}
    shares: dict[tuple[int, float], list[float]] = {}
    for _ in range(SAMPLES // CHUNK):
        positive, negatives, other = bed.draw(CHUNK, COUNTS[-1], draw)
        for k in COUNTS:
            for alpha in dict.fromkeys([float(k), *map(float, ALPHAS)]):
                some, settings = negatives[:, :k], {"temperature": 1.0, "alpha": alpha}
                parts.setdefault((k, alpha), []).append(loss_of_each(positive, some, **settings))
                nwj = nwj_bound(positive, some, other, **settings).value
                shares.setdefault((k, alpha), []).append(nwj)
    lines: list[tuple[object, ...]] = []
    for (k, alpha), each in parts.items():
        loss, nwj = mean_of(torch.cat(each)), sum(shares[k, alpha]) / len(shares[k, alpha])
        value = paper_estimate(loss.value, alpha=alpha)
        proven = certified_bound(loss.value, alpha=alpha, num_negatives=k)
        for name in (["InfoNCE"] if alpha == k else []) + (["EqCo"] if alpha in ALPHAS else []):
            lines.append(
                (f"I = {bed.information:.2f}", bed.information, name, alpha, k, value,
                 loss.error, proven, nwj)
            )  # fmt: skip
    return lines


def compute() -> pd.DataFrame:
    """Estimates in nats on Gaussians of known I, and on a trained encoder."""
    found = pd.DataFrame([line for c in (0.9, 0.99, 0.999) for line in gaussians(c)], columns=NAMES)
    trained = pd.read_csv(HERE / "encoders.csv").query("quantity == 'loss' and step == step.max()")
    value = [math.log1p(a) - v for a, v in zip(trained["alpha"], trained["value"], strict=True)]
    proven = [
        certified_bound(v, alpha=a, num_negatives=k)
        for a, k, v in zip(trained["alpha"], trained["k"], trained["value"], strict=True)
    ]
    trained = trained.assign(bed="a trained encoder", value=value, certified=proven)
    return pd.concat([found, trained.reindex(columns=NAMES)])


def draw(frame: pd.DataFrame) -> Figure:
    """One panel a bed: estimates, the truth, the ceiling log(K + 1), and what is certified."""
    figure, axes = panels(2, 2)
    for axis, (bed, part) in zip(axes, frame.groupby("bed", sort=False), strict=True):
        for (name, alpha), line in part.groupby(
            [part["loss"], part["alpha"].where(part["loss"] == "EqCo", 0)]
        ):
            label = f"EqCo, alpha {alpha:g}" if alpha else "InfoNCE"
            dash = DASHES[int(alpha)] if alpha else "solid"
            axis.plot(line["k"], line["value"], color=COLOURS[name], ls=dash, label=label)
            over = line["value"] > line["information"] + 3 * line["error"]
            for hollow, dots in ((True, line[over]), (False, line[~over])):
                face = "white" if hollow else COLOURS[name]
                axis.plot(dots["k"], dots["value"], MARKERS[name], color=COLOURS[name], mfc=face)
        proven = part[(part["loss"] == "EqCo") & (part["alpha"] == 256)]
        curve, what = (
            ("nwj", "NWJ") if proven["nwj"].notna().all() else ("certified", "log(1+K) − L")
        )
        axis.plot(
            proven["k"],
            proven[curve],
            color=COLOURS["bound"],
            ls=":",
            label=f"certified at alpha 256 ({what})",
        )
        counts = sorted(part["k"].unique())
        axis.plot(
            counts, [math.log1p(k) for k in counts], color="0.6", lw=0.8, label="ceiling log(K + 1)"
        )
        if part["information"].notna().all():
            axis.axhline(
                part["information"].iloc[0], color=COLOURS["truth"], ls="-.", label="true I"
            )
        top = part["value"].max() * 1.1
        axis.set(xscale="log", xlabel="K", ylabel="nats", title=bed, ylim=(-0.3, top))
        axis.legend(
            title="hollow: above I, not a bound" if axis is axes[0] else None, title_fontsize=5.5
        )
    return figure


if __name__ == "__main__":
    build("mi_bound", compute, draw, keep=True)

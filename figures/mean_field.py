"""Figure 4: from which K on EqCo is flat, predicted from an encoder, and what accuracy says."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from figures.evidence import base_of, interval, of_recipes
from figures.style import HERE, MARKERS, SHADES, build, log_axis, panels
from reproductions import table1


def accuracy_gaps(scale: str) -> pd.DataFrame:
    """Full K minus K for EqCo, in points, paired by seed."""
    rows = [r for r in table1.rows(scale, base_of(scale)).values() if r.loss == "eqco"]
    wide = of_recipes(scale, rows).pivot(index="seed", columns="num_negatives", values="linear")
    gaps = wide[wide.columns.max()].to_numpy()[:, None] - wide.drop(columns=wide.columns.max())
    long = gaps.melt(var_name="k", value_name="points").dropna()
    found = long.groupby("k")["points"].agg(points="mean", half=interval, n="count")
    return found.reset_index().assign(scale=scale)


def compute() -> pd.DataFrame:
    """Loss gaps of the encoders, each with the accuracy gap of EqCo at the same K and scale."""
    found = pd.read_csv(HERE / "diagnoses.csv")
    gaps = pd.concat([accuracy_gaps(scale) for scale in found["scale"].unique()])
    return found.merge(gaps, on=["scale", "k"], how="left")


def draw(frame: pd.DataFrame) -> Figure:
    """Left: the loss gap against K. Right: the accuracy gap against the predicted loss gap."""
    figure, (left, right) = panels(2)
    full = frame[frame["encoder"] == "simo-infonce-k255"]
    colours = dict(zip(full["scale"].unique(), SHADES.values(), strict=False))
    for scale, part in full.groupby("scale", sort=False):
        part, style = part[part["measured"] > 0], {"color": colours[scale]}
        left.errorbar(
            part["k"], part["measured"], part["error"], fmt="o", **style, label=f"{scale}, measured"
        )
        left.plot(part["k"], part["coarse"], ls="--", **style, label="CV² / 2K")
        left.plot(part["k"], part["sharp"], ls=":", **style, label="leading order")
        left.axvline(part["cv2"].iloc[0], lw=0.6, **style)
        gaps = part.dropna(subset=["points"])
        what = f"{scale}, n = {gaps['n'].min():.0f}"
        right.errorbar(
            gaps["sharp"],
            gaps["points"],
            gaps["half"],
            marker=MARKERS["EqCo"],
            capsize=2,
            label=what,
            **style,
        )
        for line in gaps.itertuples():
            right.annotate(
                f"K = {line.k}",
                (line.sharp, line.points),
                xytext=(3, 4),
                textcoords="offset points",
            )
    left.axhline(0.05, color="0.6", lw=0.8)
    left.annotate("0.05 nats", (1, 0.055), color="0.4")
    left.set(
        xscale="log",
        yscale="log",
        ylim=(1e-3, 5),
        xlabel="K",
        ylabel="loss below its limit, nats",
        title="vertical lines: K = CV²",
    )
    right.axhline(1.0, color="0.6", lw=0.8)
    log_axis(right, (0.05, 0.1, 0.2, 0.5))
    right.set(
        xlabel="predicted loss gap (leading order), nats",
        ylabel="EqCo: full K − K, points",
        title="accuracy gap of EqCo (line: 1 point)",
    )
    left.legend()
    right.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    build("mean_field", compute, draw)

"""The law of table 9: E[rho^2 CV^2] / (2K) of the full-K encoder against the accuracy lost at K.

A line through the origin was stated before the runs. The curve a nats^b was added when all
nine cells of glyphs were known with three seeds or more, so only data not run then can test it.
Both are fitted on glyphs alone; cells of other data sets are predictions.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from reproductions.results.evidence import committed, gaps_to_full, shown_scales

TABLE = 9
LEAST_CELLS = 6  # of which three are fitted
FITTED_SCALE = "glyphs"
EXPONENTS = np.arange(0.05, 2.0, 0.01)  # b of the curve that are tried
CELL = ["scale", "temperature", "k", "n", "nats", "points", "half"]
ERRORS = {"line": "error", "curve": "curve_error"}
NAMES = [*CELL, "fitted", "line", "error", "curve", "curve_error"]


def cells(runs: pd.DataFrame, full: int) -> pd.DataFrame:
    """A line for each temperature and K of EqCo: the leading order in nats, and the points lost.

    Args:
        runs: of EqCo, several temperatures.
        full: the K with all negatives, whose encoder has the leading order; without it, no line.
    """
    frames = []
    for temperature, group in runs.groupby("temperature"):
        spread = group.loc[group["num_negatives"] == full, "rho2_cv2"].mean()
        gaps = gaps_to_full(group, full)
        frames.append(gaps.assign(temperature=temperature, nats=spread / (2 * gaps["k"])))
    columns = ["k", "n", "nats", "points", "half", "temperature"]
    return pd.concat([f for f in frames if len(f)] or [pd.DataFrame(columns=columns)])


def slope(nats: pd.Series, points: pd.Series) -> float:
    """Of the line through the origin, by least squares; 0 without cells."""
    return float((nats * points).sum() / (nats**2).sum()) if len(nats) else 0.0


def exponent(nats: pd.Series, points: pd.Series) -> float:
    """The b of EXPONENTS for which slope(nats^b, points) nats^b has the least squared errors."""
    squares = [((points - slope(nats**b, points) * nats**b) ** 2).sum() for b in EXPONENTS]
    return float(EXPONENTS[int(np.argmin(squares))])


def fit(cells: pd.DataFrame) -> pd.DataFrame:
    """With the line through the origin and the curve, both fitted on every other cell of glyphs.

    Cells are in the order of scale, temperature and K; `error` is points - line, `curve_error`
    points - curve.
    """
    cells = cells.sort_values(["scale", "temperature", "k"]).reset_index(drop=True)
    position = cells.groupby("scale").cumcount()
    cells["fitted"] = (position % 2 == 0) & (cells["scale"] == FITTED_SCALE)
    fitted = cells[cells["fitted"]]
    power = exponent(fitted["nats"], fitted["points"])
    cells["line"] = slope(fitted["nats"], fitted["points"]) * cells["nats"]
    cells["curve"] = slope(fitted["nats"] ** power, fitted["points"]) * cells["nats"] ** power
    for name in ("line", "curve"):
        cells[ERRORS[name]] = cells["points"] - cells[name]
    return cells[NAMES]


def law() -> pd.DataFrame:
    """Every cell that has records, of every scale, with the line; empty where there are too few."""
    frames = []
    for scale in shown_scales():
        runs = committed(scale).table_runs(TABLE)
        eqco = runs[runs["loss"] == "eqco"].dropna(subset="rho2_cv2")
        if len(eqco):
            frames.append(cells(eqco, eqco["num_negatives"].max()).assign(scale=scale))
    fitted = fit(pd.concat([f for f in frames if len(f)] or [pd.DataFrame(columns=NAMES)]))
    return fitted if len(fitted) >= LEAST_CELLS else fitted[:0]


def misses(cells: pd.DataFrame) -> str:
    """How far the cells that were not fitted lie from the line and from the curve."""
    texts = []
    for fitted, name in ERRORS.items():
        sizes = cells[name].abs()
        mean, largest = f"{sizes.mean():.2f}", f"{sizes.max():.2f}"
        texts.append(f"from the {fitted} {mean} points in the mean, {largest} at most")
    return ", ".join(texts)


def report(cells: pd.DataFrame) -> str:
    """The line and the curve, how far the cells that were not fitted lie from them, and the order.

    The order is the rank correlation of nats and points over all cells.
    """
    fitted = cells["fitted"].astype(bool)
    nats, points = cells.loc[fitted, "nats"], cells.loc[fitted, "points"]
    power = exponent(nats, points)
    line = f"{slope(nats, points):.2f} points a nat"
    curve = f"{slope(nats**power, points):.2f} nats^{power:.2f} points"
    order = cells["nats"].rank().corr(cells["points"].rank())
    start = f"law: {line}, or {curve}; fitted on {len(nats)} cells, rank correlation {order:.2f}"
    others = [
        f"{len(group)} others of {scale} lie {misses(group)}"
        for scale, group in cells[~fitted].groupby("scale")
    ]
    return "; ".join([start, *others] if others else [start, "there is no other one yet"])

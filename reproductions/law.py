"""The law of table 9: E[rho^2 CV^2] / (2K) of the full-K encoder against the accuracy lost at K."""

from __future__ import annotations

import pandas as pd

from reproductions.evidence import gaps_to_full, shown_scales, table_runs

TABLE = 9
LEAST_CELLS = 6  # of which three are fitted
NAMES = ["scale", "temperature", "k", "n", "nats", "points", "half", "fitted", "line", "error"]


def cells(runs: pd.DataFrame, full: int) -> pd.DataFrame:
    """A line for each temperature and K of EqCo: the leading order in nats, and the points lost.

    Args:
        runs: of EqCo, several temperatures.
        full: the K with all negatives, whose encoder has the leading order; without it, no line.
    """
    frames = []
    for temperature, part in runs.groupby("temperature"):
        spread = part.loc[part["num_negatives"] == full, "rho2_cv2"].mean()
        found = gaps_to_full(part, full)
        frames.append(found.assign(temperature=temperature, nats=spread / (2 * found["k"])))
    columns = ["k", "n", "nats", "points", "half", "temperature"]
    return pd.concat([f for f in frames if len(f)] or [pd.DataFrame(columns=columns)])


def fit(found: pd.DataFrame) -> pd.DataFrame:
    """With the line through the origin fitted, by least squares, on every other cell.

    Cells are in the order of scale, temperature and K; `error` is points - line.
    """
    found = found.sort_values(["scale", "temperature", "k"]).reset_index(drop=True)
    found["fitted"] = found.index % 2 == 0
    own = found[found["fitted"]]
    slope = (own["nats"] * own["points"]).sum() / (own["nats"] ** 2).sum() if len(own) else 0.0
    found["line"] = slope * found["nats"]
    return found.assign(error=found["points"] - found["line"])[NAMES]


def law() -> pd.DataFrame:
    """Every cell that has records, of every scale, with the line; empty where there are too few."""
    frames = []
    for scale in shown_scales():
        runs = table_runs(TABLE, scale)
        eqco = runs[runs["loss"] == "eqco"].dropna(subset="rho2_cv2")
        if len(eqco):
            frames.append(cells(eqco, eqco["num_negatives"].max()).assign(scale=scale))
    found = fit(pd.concat([f for f in frames if len(f)] or [pd.DataFrame(columns=NAMES)]))
    return found if len(found) >= LEAST_CELLS else found[:0]


def report(found: pd.DataFrame) -> str:
    """The slope, and how far the cells that were not fitted lie from the line."""
    left = found[~found["fitted"].astype(bool)]["error"].abs()
    slope = found["line"].iloc[0] / found["nats"].iloc[0]
    start = f"law: {slope:.2f} points a nat, fitted on {len(found) - len(left)} cells"
    if left.empty:
        return f"{start}; there is no other one yet"
    return (
        f"{start}; {len(left)} others lie {left.mean():.2f} points from the line in the mean, "
        f"{left.max():.2f} at most"
    )

"""Forest plot of the comparisons at K = 16: what few negatives cost, and what EqCo gives back."""

import pandas as pd
from matplotlib.figure import Figure

from figures import comparisons, style

ASKED = ("falls", "better", "recovers")


def compute() -> pd.DataFrame:
    """Comparisons of InfoNCE, EqCo and all negatives at the K of the paper's headline."""
    frame = comparisons.compute()
    asked = [comparisons.QUESTIONS[aspect] for aspect in ASKED]
    return frame[frame["headline"] & frame["question"].isin(asked)].reset_index(drop=True)


def draw(frame: pd.DataFrame) -> Figure:
    """What 16 negatives cost, what EqCo gives back, and whether it is half."""
    return comparisons.draw(frame)


if __name__ == "__main__":
    style.build(compute, draw)

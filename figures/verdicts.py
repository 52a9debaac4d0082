"""Forest plot of the comparisons at K = 16: what few negatives cost, and what EqCo gives back."""

import pandas as pd
from matplotlib.figure import Figure

from figures import comparisons, style

ASKED = ("falls", "recovers", "level")


def compute() -> pd.DataFrame:
    """Comparisons of InfoNCE, EqCo and all negatives at the K of the paper's headline."""
    found = comparisons.compute()
    asked = [comparisons.QUESTIONS[aspect] for aspect in ASKED]
    return found[found["headline"] & found["question"].isin(asked)].reset_index(drop=True)


def draw(frame: pd.DataFrame) -> Figure:
    """What 16 negatives cost, whether half of it is recovered, and what remains."""
    return comparisons.draw(frame)


if __name__ == "__main__":
    style.build(compute, draw)

"""Forest plot of every comparison of the tables."""

import pandas as pd
from matplotlib.figure import Figure

from figures import style, verdicts


def compute() -> pd.DataFrame:
    """Every comparison of the tables that has an interval."""
    return verdicts.compute()


def draw(frame: pd.DataFrame) -> Figure:
    """All of them, a panel for each question."""
    return verdicts.forest(frame)


if __name__ == "__main__":
    style.build(compute, draw)

"""Committed records as tidy frames: one line a run, with its table, row, scale and method."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from statsmodels.stats.weightstats import DescrStatsW

from eqco import record as records
from eqco.recipe import SCALES, Recipe
from eqco.report import LOSS_TITLES, METHOD_TITLES, frame
from figures.style import RECORDS

COLUMNS = ["scale", "method", "loss", "num_negatives", "alpha", "learning_rate", "seed"]
METRICS = ["linear", "knn", "class_mean", "cv2", "one_minus_pi0"]


def runs(scale: str) -> pd.DataFrame:
    """All committed runs of a scale; empty where there are none."""
    folder = RECORDS / scale
    found = frame(records.read_all(folder)) if folder.is_dir() else pd.DataFrame()
    if found.empty:
        return pd.DataFrame(columns=[*COLUMNS, *METRICS, "digest"])
    digest = found["run_id"].str.split("-").str[-2]
    names = {"method": found["method"].map(METHOD_TITLES), "loss": found["loss"].map(LOSS_TITLES)}
    return found.assign(scale=scale, digest=digest, **names)


def base_of(scale: str) -> Recipe:
    """The baseline of a scale; where the data is part of the recipe, that of the records."""
    base, found = SCALES[scale].base, runs(scale)
    return (
        replace(base, data=found["data"].iloc[0]) if base.data == "folder" and len(found) else base
    )


def of_recipes(scale: str, recipes: list[Recipe]) -> pd.DataFrame:
    """Runs of some recipes, the tidy columns only."""
    found = runs(scale)
    found = found[found["digest"].isin([recipe.digest() for recipe in recipes])]
    return found[[*COLUMNS, *METRICS]].sort_values(COLUMNS)


def interval(values: pd.Series) -> float:
    """Half the 90 % t-interval of the mean; 0 for a single value."""
    if len(values) < 2 or values.std() == 0:
        return 0.0
    low, high = DescrStatsW(values).tconfint_mean(alpha=0.1)
    return float(high - low) / 2


def means(frame: pd.DataFrame, by: str, value: str = "linear") -> pd.DataFrame:
    """Mean, half interval and count of a metric for each value of a column."""
    return frame.groupby(by)[value].agg(mean="mean", half=interval, n="count").reset_index()


def gaps_to_full(frame: pd.DataFrame) -> pd.DataFrame:
    """Accuracy at the largest K minus that at each other K, points, paired by seed."""
    wide = frame.pivot(index="seed", columns="num_negatives", values="linear")
    full = wide.pop(wide.columns.max())
    gaps = (-wide.sub(full, axis=0)).melt(var_name="k", value_name="points").dropna()
    return gaps.groupby("k")["points"].agg(points="mean", half=interval, n="count").reset_index()

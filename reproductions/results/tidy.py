"""Results as tidy data frames: a line a run, a line a cell, a line a claim."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from eqco.evaluation.metrics import METRICS
from reproductions.results.evidence import Evidence, committed
from reproductions.statistics.verdicts import mean_interval
from reproductions.tables.claims import PRIMARY

SETTINGS = ("method", "loss", "num_negatives", "alpha", "temperature", "learning_rate", "epochs")


def runs(evidence: Evidence, numbers: Sequence[int]) -> pd.DataFrame:
    """Runs with recipe, seed, metrics and diagnostics; a run of two tables has two lines."""
    frames = [evidence.table_runs(number).assign(table=number) for number in numbers]
    frame = pd.concat(frames, ignore_index=True)
    first = ["scale", "table", "row", "seed"]
    return frame[first + [name for name in frame.columns if name not in first]]


def cells(evidence: Evidence, numbers: Sequence[int]) -> pd.DataFrame:
    """Rows by metric: mean, sd, 95 % interval of the mean and n, beside the committed mean and n.

    Rows and metrics without a run are left out. Accuracies are in percent.
    """
    lines = []
    for number in numbers:
        for row in evidence.tables[number].rows:
            recipe = row.recipe
            about = {name: getattr(recipe, name) for name in SETTINGS}
            for metric in METRICS:
                values = pd.Series(evidence.values(row, metric), dtype=float)
                reference = pd.Series(committed(evidence.scale).values(row, metric), dtype=float)
                if values.empty:
                    continue
                low, high = mean_interval(values.to_numpy())
                lines.append(
                    {"scale": evidence.scale, "table": number, "row": row.name, **about}
                    | {"metric": metric, "n": len(values), "mean": values.mean()}
                    | {"sd": values.std(), "low": low, "high": high}
                    | {"committed_n": len(reference), "committed_mean": reference.mean()}
                )
    return pd.DataFrame(lines)


def claims(evidence: Evidence, numbers: Sequence[int]) -> pd.DataFrame:
    """Claims by metric: estimate in points, the interval that decides, n and the verdict.

    Claims whose rows share no seed are left out.
    """
    lines = []
    for number in numbers:
        table = evidence.tables[number]
        for claim in table.claims:
            for metric, verdict in evidence.verdicts[number][claim.name].items():
                about = {"statement": claim.statement, "method": claim.methods}
                lines.append(
                    {"scale": evidence.scale, "table": number, "claim": claim.name, **about}
                    | {"difference": claim.difference, "primary": claim.name == table.primary}
                    | {"metric": metric, "judged": metric == PRIMARY, "estimate": verdict.mean}
                    | {"low": verdict.low, "high": verdict.high, "sd": verdict.sd}
                    | {"n": verdict.n, "planned": verdict.planned, "verdict": verdict.status}
                    | {"passed_by_infonce": verdict.passed_by_infonce}
                )
    return pd.DataFrame(lines)


FRAMES: dict[str, Callable[[Evidence, Sequence[int]], pd.DataFrame]] = {
    "runs": runs,
    "cells": cells,
    "claims": claims,
}

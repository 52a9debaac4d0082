"""Sensitivity of the metrics: the effect and its spread, and what pairing by seed gains.

The effect is EqCo with 16 negatives minus EqCo with all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from eqco.evaluation.metrics import METRICS
from reproductions.experiments import missing
from reproductions.results import perturbed_probe
from reproductions.results.error_rates import rates
from reproductions.results.evidence import by_seed, committed, shown_scales
from reproductions.statistics.verdicts import LEAST_SEEDS
from reproductions.tables import table
from reproductions.tables.base import Row
from reproductions.tables.claims import HEADLINE_K
from reproductions.tables.formats import markdown_table

TABLE, MAIN = 1, "glyphs"  # whose rows are measured, and the scale of simulations
PERTURBED = "perturbed_linear"  # measured apart, on those encoders whose checkpoints were kept


@dataclass(frozen=True)
class Pairing:
    """Two rows of the same seeds, on one metric.

    Attributes:
        n: seeds that both have.
        effect: mean difference, points.
        sd: its standard deviation over seeds.
        unpaired: that of the difference of two runs of different seeds.
        correlation: of the rows over seeds; nan where one of them is constant.
    """

    n: int
    effect: float
    sd: float
    unpaired: float
    correlation: float

    @property
    def sharpness(self) -> float:
        """|effect| / sd: the larger, the fewer seeds a verdict needs; inf where sd is 0."""
        return abs(self.effect) / self.sd if self.sd else math.inf

    @property
    def gain(self) -> float:
        """sd paired / sd unpaired: 1 where pairing is worth nothing; nan where nothing varies."""
        return self.sd / self.unpaired if self.unpaired else math.nan


def pair(left: Mapping[int, float], right: Mapping[int, float]) -> Pairing | None:
    """left - right over the seeds that both have; None below three of them.

    >>> pair({0: 80.0, 1: 81.0, 2: 82.0}, {0: 81.0, 1: 82.0, 2: 83.0}).gain
    0.0
    """
    frame = pd.DataFrame({"left": left, "right": right}).dropna()
    if len(frame) < LEAST_SEEDS:
        return None
    differences, sd = frame["left"] - frame["right"], frame.std()
    return Pairing(
        n=len(frame),
        effect=float(differences.mean()),
        sd=float(differences.std()),
        unpaired=float(np.hypot(*sd)),
        correlation=float(frame["left"].corr(frame["right"])) if all(sd) else math.nan,
    )


def titles() -> dict[str, str]:
    """Titles of the metrics measured here, by name."""
    recorded = {name: metric.title for name, metric in METRICS.items()}
    return {**recorded, PERTURBED: "linear probe, perturbed"}


def headline(scale: str) -> tuple[Row, Row]:
    """EqCo with few and with all negatives."""
    table = committed(scale).tables[TABLE]
    eqco = {row.recipe.num_negatives: row for row in table.rows if row.recipe.loss == "eqco"}
    return eqco[HEADLINE_K], eqco[max(eqco)]


def row_values(scale: str, row: Row, metric: str) -> dict[int, float]:
    """A metric of a row by seed: of the records, or measured apart."""
    if metric != PERTURBED:
        return committed(scale).values(row, metric)
    return by_seed(perturbed_probe.measured(), metric, scale=scale, digest=row.recipe.digest())


def headline_pair(scale: str, metric: str) -> Pairing | None:
    """The pair of the headline."""
    few, full = (row_values(scale, row, metric) for row in headline(scale))
    return pair(few, full)


def gains(scale: str, metric: str, *, same_count: bool) -> str:
    """What pairing is worth for the median pair of rows that share three seeds; number of pairs.

    Args:
        scale: whose records are taken.
        metric: by its name.
        same_count: pairs of one K, which share their draws of negatives too; else all others.
    """
    rows = committed(scale).tables[TABLE].rows
    pairs = (
        pair(row_values(scale, a, metric), row_values(scale, b, metric))
        for a, b in combinations(rows, 2)
        if (a.recipe.num_negatives == b.recipe.num_negatives) == same_count
    )
    ratios = [pairing.gain for pairing in pairs if pairing and not math.isnan(pairing.gain)]
    return f"{np.median(ratios):.2f} ({len(ratios)})" if ratios else "–"


HEADER = (
    "metric", "n", "EqCo K = 16 − full", "sd", "effect / sd", "correlation over seeds",
    "sd paired / unpaired", "the same, rows of one K", "rows of different K",
)  # fmt: skip


def line(scale: str, metric: str) -> list[str]:
    """A metric's line; "not run" where the headline lacks seeds."""
    pairing = headline_pair(scale, metric)
    title = titles()[metric]
    if pairing is None:
        return [title, *(f"under {LEAST_SEEDS} seeds" for _ in HEADER[1:])]
    medians = (gains(scale, metric, same_count=same) for same in (True, False))
    effect = (f"{pairing.effect:+.2f}", f"{pairing.sd:.2f}", f"{pairing.sharpness:.1f}")
    worth = (f"{pairing.correlation:.2f}", f"{pairing.gain:.2f}", *medians)
    return [title, str(pairing.n), *effect, *worth]


def section() -> str:
    """Every metric at each scale shown."""
    parts = []
    for scale in shown_scales():
        rows = headline(scale)
        if all(headline_pair(scale, metric) is None for metric in METRICS):
            command = f"{missing.table_command(TABLE, scale)} --seeds {LEAST_SEEDS}"
            recipes = [row.recipe for row in rows]
            text = f"Not measured, both rows need {LEAST_SEEDS} seeds: `{command}`"
            text += f" (of which {missing.cost(scale, recipes)})."
        else:
            text = markdown_table(HEADER, [line(scale, metric) for metric in titles()])
        parts.append(f"### Scale {scale}\n\n{text}")
    return "\n\n".join(parts)


def error_rates() -> str:
    """How often verdicts of table 1 are wrong, and how often they are decided."""
    judged = table(TABLE, MAIN)
    values = {row.name: list(committed(MAIN).values(row).values()) for row in judged.rows}
    truths = {
        "all rows are equal": dict.fromkeys(values, 80.0),
        "the measured means are true": {n: sum(v) / max(1, len(v)) for n, v in values.items()},
    }
    schedules = {"one look, at 15 seeds": [15], "two looks, at 10 and 15": [10, 15]}
    lines = [
        [truth, schedule, *(f"{100 * share:.1f} %" for share in rates(judged, means, seeds))]
        for truth, means in truths.items()
        for schedule, seeds in schedules.items()
    ]
    header = ["truth", "judged", "primary verdict wrong", "any verdict wrong", "claims decided"]
    return markdown_table(header, lines)

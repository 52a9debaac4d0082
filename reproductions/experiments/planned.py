"""Planned experiments: rows, seeds and comparisons that were fixed before the first run.

    python -m reproductions sweep --experiment constant-weight

The question, the predictions and the outcome of each are in `log/`, in a file of the same name.
Rows are named by what differs between them; a comparison is a weighted sum of rows, paired by seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from eqco.artifacts.run_files import Run
from eqco.losses.registry import LOSSES
from eqco.recipe import Recipe
from reproductions.experiments.comparisons import as_eqco, recovers, remains, remains_at, same_rule
from reproductions.statistics.verdicts import Comparison
from reproductions.tables.base import with_loss

SEED_OF_CHOICES = 100  # learning rates are chosen with a seed that no comparison uses
PAPER_RATE = 0.03
CIFAR10_RATES = (0.03, 0.1, 0.3, 1.0)
PENALTIES = (0.3, 3.0, 30.0)  # lambda of the variance penalty; 30 in its source
CHOSEN_PENALTY = 0.3  # by the experiment "variance-penalty-choice", before "variance-penalty"
LONG: dict[str, Any] = {"epochs": 90}
PAPER: dict[str, Any] = {"key_momentum": 0.999, "warmup_epochs": 10.0, **LONG}
# (loss, K) of each row on CIFAR-10. All negatives are InfoNCE's.
CIFAR10_ROWS = {
    "InfoNCE 255": ("infonce", 255),
    "InfoNCE 16": ("infonce", 16),
    "EqCo 16": ("eqco", 16),
    "InfoNCE 4": ("infonce", 4),
    "EqCo 4": ("eqco", 4),
}
# Chosen by the experiment "cifar10-rates", before any run of the rows that use them.
CHOSEN_RATES = {
    "InfoNCE 255": 0.3,
    "InfoNCE 16": 1.0,
    "EqCo 16": 1.0,
    "InfoNCE 4": 1.0,
    "EqCo 4": 1.0,
}


@dataclass(frozen=True)
class Experiment:
    """Runs that were planned together.

    Attributes:
        scale: a name in `reproductions.scales.SCALES`.
        rows: the scale's baseline, with the user's images -> recipes by row.
        seeds: of every row, but for those in `seeds_of`.
        comparisons: the first one is primary, the others are secondary.
        seeds_of: seeds of some rows, by row.
        planned: the day, which begins the name of its page.
    """

    scale: str
    rows: Callable[[Recipe], dict[str, Recipe]]
    seeds: range
    comparisons: tuple[Comparison, ...] = ()
    seeds_of: dict[str, range] = field(default_factory=dict)
    planned: str = "2026-11-29"

    def seeds_for(self, name: str) -> range:
        """The planned seeds of a row."""
        return self.seeds_of.get(name, self.seeds)

    def planned_seeds(self, comparison: Comparison) -> list[int]:
        """Seeds that every row of a comparison has by the plan."""
        return sorted(set.intersection(*map(set, map(self.seeds_for, comparison.weights))))

    def jobs(self, base: Recipe) -> list[Run]:
        """Every run, seed by seed."""
        rows = self.rows(base)
        return [
            Run(recipe, seed)
            for seed in sorted(set().union(*map(self.seeds_for, rows)))
            for name, recipe in rows.items()
            if seed in self.seeds_for(name)
        ]


def row(base: Recipe, loss: str, num_negatives: int, **changes: Any) -> Recipe:
    """The baseline with another loss, K and other changes; alpha is its batch size."""
    return with_loss(base, loss, num_negatives, **changes).recipe


def three_rows(
    base: Recipe, suffix: str = "", full: str = "eqco", **changes: Any
) -> dict[str, Recipe]:
    """All negatives, and both losses at K = 16."""
    return {
        f"{LOSSES[full].title} 255{suffix}": row(base, full, 255, **changes),
        f"EqCo 16{suffix}": row(base, "eqco", 16, **changes),
        f"InfoNCE 16{suffix}": row(base, "infonce", 16, **changes),
    }


def constant_weight(base: Recipe) -> dict[str, Recipe]:
    """InfoNCE times a constant that gives it EqCo's mean gradient at the end of training."""
    rows: dict[str, Recipe] = {}
    for rate, k, scale in ((0.06, 16, 3.2), (0.4, 16, 3.2), (0.4, 4, 8.9)):
        at_rate = replace(base, learning_rate=rate)
        rows |= {
            f"EqCo {k} at {rate}": row(at_rate, "eqco", k),
            f"InfoNCE {k} at {rate}": row(at_rate, "infonce", k),
            f"InfoNCE {k} x {scale} at {rate}": row(at_rate, "infonce", k, loss_scale=scale),
        }
    return rows


def long_training(base: Recipe) -> dict[str, Recipe]:
    """90 epochs at small learning rates; at 0.4 they are rows of table 10."""
    rows: dict[str, Recipe] = {}
    for rate in (0.025, 0.1):
        rows |= three_rows(base, f" at {rate}", learning_rate=rate, **LONG)
    for rate in (0.4, 1.0):
        rows[f"EqCo 255 at {rate}"] = row(base, "eqco", 255, learning_rate=rate, **LONG)
    rows["EqCo 16 at 0.4"] = row(base, "eqco", 16, **LONG)
    return rows


def cifar10_rates(base: Recipe) -> dict[str, Recipe]:
    """Each row at each learning rate, 20 epochs on 45,000 images, judged on the other 5,000."""
    return {
        f"{name} at {rate}": row(base, loss, k, epochs=20, learning_rate=rate, validation=5000)
        for name, (loss, k) in CIFAR10_ROWS.items()
        for rate in CIFAR10_RATES
    }


def cifar10_confirmation(base: Recipe) -> dict[str, Recipe]:
    """Each row at its own learning rate, on all training images."""
    return {
        name: row(base, loss, k, learning_rate=CHOSEN_RATES[name])
        for name, (loss, k) in CIFAR10_ROWS.items()
    }


def batch_sizes(base: Recipe) -> dict[str, Recipe]:
    """N = 64 to 512 under two rules of the learning rate, at K = 16 and with all negatives."""
    rows: dict[str, Recipe] = {}
    for size in (64, 128, 256, 512):
        for rule, power in (("linear", 1.0), ("root", 0.5)):
            if size == 256 and rule == "root":
                continue  # the same as the linear rule
            rate = float(f"{0.4 * (size / 256) ** power:.6g}")
            baseline = replace(base, batch_size=size, num_negatives=size - 1, learning_rate=rate)
            rows |= {
                f"InfoNCE all, N {size}, {rule}": baseline,
                f"EqCo 16, N {size}, {rule}": row(baseline, "eqco", 16, alpha=256.0),
                f"InfoNCE 16, N {size}, {rule}": row(baseline, "infonce", 16),
            }
    return rows


def variance_choice(base: Recipe) -> dict[str, Recipe]:
    """EqCo 16 with three weights of the variance penalty."""
    return {
        f"EqCo 16, penalty {weight:g}": row(base, "eqco", 16, variance_penalty=weight)
        for weight in PENALTIES
    }


def variance_penalty(base: Recipe) -> dict[str, Recipe]:
    """EqCo 16 with the chosen penalty and without, and all negatives."""
    return {
        "EqCo 16, penalty": row(base, "eqco", 16, variance_penalty=CHOSEN_PENALTY),
        "EqCo 16": row(base, "eqco", 16),
        "EqCo 255": row(base, "eqco", 255),
    }


EXPERIMENTS: dict[str, Experiment] = {
    "constant-weight": Experiment(
        "glyphs",
        constant_weight,
        range(10),
        (
            Comparison(
                "at 0.06, InfoNCE 16 times 3.2 gains at least half of what EqCo 16 gains",
                {
                    "InfoNCE 16 x 3.2 at 0.06": 1,
                    "EqCo 16 at 0.06": -0.5,
                    "InfoNCE 16 at 0.06": -0.5,
                },
                0.0,
                math.inf,
                (0.7, 0.3, 1.1),
            ),
            as_eqco(0.06, 16, 3.2, (0.0, -0.5, 0.5)),
            as_eqco(0.4, 16, 3.2, (-0.3, -0.8, 0.2)),
            as_eqco(0.4, 4, 8.9, (-0.4, -1.1, 0.3)),
        ),
    ),
    "long-training": Experiment(
        "glyphs",
        long_training,
        range(5),
        (
            recovers(
                "InfoNCE 16 at 0.025", "EqCo 16 at 0.025", "EqCo 255 at 0.025", (0.5, 0.0, 1.0)
            ),
            remains_at(0.025, 0.5, (0.9, 0.5, 1.3)),
            remains_at(0.1, 0.8, (1.2, 0.7, 1.7)),
            Comparison(
                "what remains at 0.025 is less than at 0.4",
                {"EqCo 255 at 0.4": 1, "EqCo 16 at 0.4": -1}
                | {"EqCo 255 at 0.025": -1, "EqCo 16 at 0.025": 1},
                0.0,
                math.inf,
                (0.9, 0.3, 1.5),
            ),
        ),
        {"EqCo 255 at 1.0": range(3)},
    ),
    "cifar10-rates": Experiment(
        "cifar10-cpu", cifar10_rates, range(SEED_OF_CHOICES, SEED_OF_CHOICES + 1)
    ),
    "cifar10-confirmation": Experiment(
        "cifar10-cpu",
        cifar10_confirmation,
        range(8),
        (
            recovers("InfoNCE 16", "EqCo 16", "InfoNCE 255", (0.0, -0.4, 0.5)),
            remains("EqCo 16", "InfoNCE 255", (0.6, 0.1, 1.1)),
            recovers("InfoNCE 4", "EqCo 4", "InfoNCE 255", (-0.7, -1.5, 0.1)),
            remains("EqCo 4", "InfoNCE 255", (2.0, 1.2, 2.8)),
        ),
        {"InfoNCE 4": range(5), "EqCo 4": range(5)},
    ),
    "cifar10-paper-rate": Experiment(
        "cifar10-cpu",
        lambda base: three_rows(base, full="infonce", learning_rate=PAPER_RATE),
        range(4),
        (
            recovers("InfoNCE 16", "EqCo 16", "InfoNCE 255", (0.4, 0.0, 0.8)),
            remains("EqCo 16", "InfoNCE 255", (0.3, -0.1, 0.8)),
        ),
    ),
    "paper-settings": Experiment(
        "glyphs",
        lambda base: three_rows(base, learning_rate=PAPER_RATE, **PAPER),
        range(5),
        (
            recovers("InfoNCE 16", "EqCo 16", "EqCo 255", (0.5, 0.0, 1.0)),
            remains("EqCo 16", "EqCo 255", (0.8, 0.3, 1.3)),
        ),
    ),
    "batch-size": Experiment(
        "glyphs",
        batch_sizes,
        range(5),
        (
            same_rule(
                "the linear rule costs or gains as much at K = 16 as with all negatives, within "
                "0.5 points (N = 64)",
                64,
                (0.4, -0.4, 1.2),
            ),
            same_rule("the same at N = 512", 512, (0.0, -0.6, 0.6)),
        ),
    ),
    "variance-penalty-choice": Experiment(
        "glyphs", variance_choice, range(SEED_OF_CHOICES, SEED_OF_CHOICES + 3)
    ),
    "variance-penalty": Experiment(
        "glyphs",
        variance_penalty,
        range(5),
        (
            recovers("EqCo 16", "EqCo 16, penalty", "EqCo 255", (-0.7, -1.2, -0.2)),
            Comparison(
                "the penalty makes EqCo 16 more accurate",
                {"EqCo 16, penalty": 1.0, "EqCo 16": -1.0},
                0.0,
                math.inf,
                (0.1, -0.5, 0.7),
            ),
            remains("EqCo 16, penalty", "EqCo 255", (1.5, 0.8, 2.2)),
        ),
        planned="2026-11-30",
    ),
}


def experiment_jobs(names: Iterable[str], base: Recipe) -> list[Run]:
    """Runs of some experiments of one scale, each run once.

    Args:
        names: in `EXPERIMENTS`.
        base: the baseline of their scale, with the user's images.
    """
    runs = [job for name in names for job in EXPERIMENTS[name].jobs(base)]
    return list({job.run_id: job for job in runs}.values())


def common_scale(names: Iterable[str]) -> str:
    """The scale of some experiments.

    Raises:
        ValueError: they are of several scales.
    """
    scales = sorted({EXPERIMENTS[name].scale for name in names})
    if len(scales) > 1:
        raise ValueError(f"experiments of one scale at a time, got some of {', '.join(scales)}")
    return scales[0]

"""The runs that the project wants of a scale: its tables, and learning rate x K x loss."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from eqco.artifacts.run_files import Run
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from reproductions.experiments.planned import LONG, PAPER, common_scale, experiment_jobs
from reproductions.results.shares import Series
from reproductions.scales import SCALES, Scale
from reproductions.tables import TABLES
from reproductions.tables.base import with_loss

RATES = (0.01, 0.025, 0.06, 0.16, 0.4, 1.0, 2.5)
METHOD_RATES = (0.03, 0.06, 0.16, 0.4, 1.0)
BASELINE_SEEDS = range(3)  # enough to choose a rate
GRID_SEEDS = range(5)
SHARES = {  # of InfoNCE's loss that EqCo recovers
    "simo": Series("simo", RATES),
    "simo-long": Series("simo", (0.025, 0.1), f"{LONG['epochs']} epochs", LONG, full="eqco"),
    "simo-paper": Series("simo", (0.03,), "the paper's settings", PAPER, full="eqco"),
    "moco": Series("moco", METHOD_RATES),
    "simclr": Series("simclr", METHOD_RATES),
}


def at_rates(recipes: Iterable[Recipe], rates: Iterable[float]) -> list[Recipe]:
    """Each recipe at each learning rate."""
    return [replace(recipe, learning_rate=rate) for recipe in recipes for rate in rates]


def baselines(scale: Scale, base: Recipe) -> list[Recipe]:
    """InfoNCE with all negatives at each rate, by which the rates of all rows are chosen."""
    others = (scale.baseline(method, base) for method in ("moco", "simclr"))
    return at_rates([base], RATES) + at_rates(others, METHOD_RATES)


def grid(scale: Scale, base: Recipe) -> list[Recipe]:
    """Table 1 at each rate; InfoNCE and EqCo of MoCo v2 and SimCLR at K = 16 and full K."""
    simo = [row.recipe for row in TABLES[1](scale, base).rows]
    others = []
    for method in ("moco", "simclr"):
        full = scale.baseline(method, base)
        others += [
            with_loss(full, loss, k).recipe
            for loss in ("infonce", "eqco")
            for k in (16, full.num_negatives)
            if (loss, k) != ("eqco", full.pool())  # alpha = K is InfoNCE
        ]
    return at_rates(simo, RATES) + at_rates(others, METHOD_RATES)


def rows(scale: Scale, base: Recipe, tables: Iterable[int]) -> list[Recipe]:
    """Every row of some tables, and the untrained backbone."""
    recipes = [row.recipe for number in tables for row in TABLES[number](scale, base).rows]
    return [*recipes, untrained(base)]


PARTS: dict[str, Callable[[Scale, Recipe, Sequence[int]], list[Recipe]]] = {
    "baselines": lambda scale, base, _: baselines(scale, base),
    "tables": rows,
    "grid": lambda scale, base, _: grid(scale, base),
}
LIMITED = {"baselines": BASELINE_SEEDS, "grid": GRID_SEEDS}


def jobs(
    scale: Scale,
    base: Recipe,
    seeds: Sequence[int],
    parts: Sequence[str] = tuple(PARTS),
    tables: Sequence[int] = tuple(TABLES),
) -> list[Run]:
    """Runs part by part, then seed by seed.

    Args:
        scale: of all runs.
        base: its SiMo baseline, with the user's images where the scale needs a folder.
        seeds: of the tables; the other parts have those that are in `LIMITED` too.
        parts: names in `PARTS`.
        tables: numbers of tables.
    """
    runs = [
        Run(recipe, seed)
        for part in parts
        for seed in seeds
        if part not in LIMITED or seed in LIMITED[part]
        for recipe in PARTS[part](scale, base, tables)
    ]
    return list({job.run_id: job for job in runs}.values())


def chosen_jobs(args: argparse.Namespace, base: Recipe, seeds: range) -> list[Run]:
    """The runs that --experiment, or else --parts and --tables, name."""
    if args.experiment:
        return experiment_jobs(args.experiment, base)
    return jobs(SCALES[args.scale], base, seeds, args.parts, args.tables or list(TABLES))


def check_choice(args: argparse.Namespace) -> None:
    """Check --tables; --experiment sets the scale.

    Raises:
        ValueError: there is no such table, or the experiments are of several scales.
    """
    check_tables(args.tables)
    if args.experiment:
        args.scale = common_scale(args.experiment)


def check_tables(numbers: Sequence[int] | None) -> None:
    """Raise ValueError where there is no table of a number."""
    for number in numbers or ():
        if number not in TABLES:
            known = ", ".join(map(str, TABLES))
            raise ValueError(f"there is no table {number}: choose from {known}")

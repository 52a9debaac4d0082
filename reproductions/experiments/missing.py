"""Sentences on runs without a committed record: the command that makes them, and its price."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache

from eqco.engine.progress import duration
from eqco.recipe import Recipe
from reproductions.experiments.grid import GRID_SEEDS, jobs
from reproductions.experiments.plan import Price, price_by
from reproductions.results.evidence import committed
from reproductions.scales import SCALES

FIRST = "glyphs"  # the scale of commands without --scale


@cache
def price(scale: str) -> Price | None:
    """Price of a run by the committed records of a scale."""
    return price_by(scale, committed(scale).records)


def cost(scale: str, recipes: Collection[Recipe]) -> str:
    """`10 runs, 12 min a seed`; without records of the scale, what a run costs in words."""
    distinct = set(recipes)
    runs = "1 run" if len(distinct) == 1 else f"{len(distinct)} runs"
    if price(scale) is None:
        return f"{runs} a seed; {total(scale, distinct)}"
    return f"{runs}, {total(scale, distinct)} a seed"


def total(scale: str, runs: Iterable[Recipe]) -> str:
    """The price of some runs; what one costs in words without records of the scale."""
    run_price = price(scale)
    if run_price is None:
        return f"a run: {SCALES[scale].run}"
    return duration(3600 * sum(map(run_price.hours, runs)))


def options(scale: str) -> str:
    """The options that choose a scale, with a space before them; "" for the first scale."""
    data = " --data folder:PATH" if SCALES[scale].needs_folder else ""
    return "" if scale == FIRST else f" --scale {scale}{data}"


def table_command(number: int, scale: str) -> str:
    return f"pytest reproductions/ -k table{number}{options(scale)}"


def table_not_run(number: int, scale: str) -> str:
    """`not run: 3 of 8 rows; `pytest ...` makes them (3 runs, 4 min a seed)`; "" for none."""
    evidence = committed(scale)
    rows = evidence.tables[number].rows
    recipes = [row.recipe for row in rows if not evidence.records_for(row)]
    if not recipes:
        return ""
    what = "" if len(recipes) == len(rows) else f"{len(recipes)} of {len(rows)} rows; "
    command = table_command(number, scale)
    return f"not run: {what}`{command}` makes them ({cost(scale, recipes)})"


def sentence_of_missing(scale: str) -> str:
    """How many runs the sweep of a scale has, and the command that makes the others."""
    seeds, evidence = len(GRID_SEEDS), committed(scale)
    wanted = jobs(SCALES[scale], evidence.base, GRID_SEEDS, ("baselines", "grid"))
    recorded = evidence.by_recipe
    lacking = [j.recipe for j in wanted if j.seed not in recorded.get(j.recipe, ())]
    done = f"Scale {scale}: {len(wanted) - len(lacking)} of {len(wanted)} runs of {seeds} seeds."
    if not lacking:
        return done
    command = f"python -m reproductions sweep --parts baselines grid --seeds {seeds}"
    command += f"{options(scale)} --skip-committed"
    return f"{done} Not run: {len(lacking)}; `{command}` makes them ({total(scale, lacking)})."

"""The page of the sweep learning rate x K x loss: docs/sweep.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from eqco.losses.functional import LOSSES
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.experiments import missing
from reproductions.experiments.grid import GRID_SEEDS, METHOD_RATES, RATES, baselines, grid, jobs
from reproductions.formats import markdown_table, spread
from reproductions.results import records
from reproductions.results.records import by_seed, evidence_base, metric_titles, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS, Verdict, better, equivalent
from reproductions.statistics.wording import NOT_RUN, short

Cell = tuple[str, int, float]  # loss, K, learning rate
METHOD_NAMES = ("simo", "moco", "simclr")


class Grid:
    """The sweep of a method at a scale: its cells, and their runs of the sweep's seeds."""

    def __init__(self, scale: str, method: str) -> None:
        base = evidence_base(scale)
        self.scale, self.method = scale, method
        self.recipes = {
            (each.loss, each.num_negatives, each.learning_rate): each
            for each in grid(SCALES[scale], base)
            if each.method == method
        }
        found = records.recipe_runs(scale, self.recipes.values())
        found = found[found["seed"].isin(GRID_SEEDS)]
        self.runs = {
            cell: found[found["digest"] == recipe.digest()] for cell, recipe in self.recipes.items()
        }

    @property
    def rates(self) -> list[float]:
        """Ascending."""
        return sorted({rate for _, _, rate in self.recipes})

    @property
    def counts(self) -> list[int]:
        """Each K, ascending."""
        return sorted({k for _, k, _ in self.recipes})

    @property
    def lines(self) -> list[tuple[str, int]]:
        """Loss and K of each line."""
        return list(dict.fromkeys((loss, k) for loss, k, _ in self.recipes))

    def values(self, cell: Cell, metric: str = "linear") -> dict[int, float]:
        """The metric of a cell by seed."""
        return by_seed(self.runs[cell], metric)

    def mean(self, cell: Cell, metric: str = "linear") -> float:
        """Mean over the seeds there are; below any accuracy where there are none."""
        values = self.values(cell, metric).values()
        return sum(values) / len(values) if values else -1.0

    def best(self, loss: str, k: int, metric: str = "linear") -> Cell | None:
        """The cell of the best rate; None until every rate has a run."""
        cells = [(loss, k, rate) for rate in self.rates]
        done = all(self.values(cell, metric) for cell in cells)
        return max(cells, key=lambda cell: self.mean(cell, metric)) if done else None


def head(title: str, text: str) -> str:
    """A part of the page under its title."""
    return f"### {title}\n\n{text}"


def with_runs() -> list[Grid]:
    """Grids that have runs; others are named in the section of what is missing."""
    grids = [Grid(scale, method) for scale in shown_scales() for method in METHOD_NAMES]
    return [grid for grid in grids if any(len(runs) for runs in grid.runs.values())]


def in_each(write: Callable[[Grid], str]) -> str:
    """A part for each grid that has runs."""
    parts = [
        head(f"{METHODS[grid.method].title}, scale {grid.scale}", write(grid))
        for grid in with_runs()
    ]
    return "\n\n".join(parts) or sentence_of_missing("glyphs")


def by_rate(grid: Grid, shown: Callable[[pd.DataFrame], str], metric: str = "") -> str:
    """Loss and K down, learning rate across; the best rate by the metric in bold."""
    lines = []
    for loss, k in grid.lines:
        best = grid.best(loss, k, metric) if metric else None
        texts = []
        for rate in grid.rates:
            runs = grid.runs[loss, k, rate]
            text = shown(runs) if len(runs) else NOT_RUN
            texts.append(f"**{text}**" if best == (loss, k, rate) else text)
        lines.append([LOSSES[loss].title, str(k), *texts])
    return markdown_table(["loss", "K", *(f"lr {rate:g}" for rate in grid.rates)], lines)


def metrics_of(grid: Grid) -> str:
    """Every metric, under its title."""

    def one(metric: str) -> str:
        return by_rate(grid, lambda runs: spread(list(runs[metric].dropna())), metric)

    return "\n\n".join(f"#### {title}\n\n{one(name)}" for name, title in metric_titles().items())


def diagnostics_of(grid: Grid) -> str:
    """Mean 1 - pi_0 and CV^2 of the trained encoders."""
    return by_rate(grid, lambda r: f"{r['one_minus_pi0'].mean():.2f} / {r['cv2'].mean():.1f}")


def compared(full: dict[int, float], plain: dict[int, float], eqco: dict[int, float]) -> list[str]:
    """Drop of InfoNCE, EqCo against full K, EqCo against InfoNCE."""

    def judged(
        test: Callable[..., Verdict], left: dict[int, float], right: dict[int, float]
    ) -> str:
        seeds = sorted(left.keys() & right.keys())
        return short(test([left[s] for s in seeds], [right[s] for s in seeds]) if seeds else None)

    return [
        judged(better, full, plain),
        judged(equivalent, eqco, full),
        judged(better, eqco, plain),
    ]


VERDICTS = (
    "K",
    "full − InfoNCE(K): a drop?",
    "EqCo(K) − full: the same within 1?",
    "EqCo(K) − InfoNCE(K): better?",
)


def fixed_of(grid: Grid) -> str:
    """The paper's protocol: one learning rate for every cell, verdicts at each rate."""
    *below, most = grid.counts
    lines = []
    for rate in grid.rates:
        for k in below:
            cells: Sequence[Cell] = (
                ("infonce", most, rate), ("infonce", k, rate), ("eqco", k, rate),
            )  # fmt: skip
            lines.append([f"{rate:g}", str(k), *compared(*map(grid.values, cells))])
    return markdown_table(("learning rate", *VERDICTS), lines)


def best_of(grid: Grid) -> str:
    """Verdicts with each cell at its own best rate, by the mean over its seeds."""
    *below, most = grid.counts
    lines = []
    for k in below:
        cells = [grid.best(*each) for each in (("infonce", most), ("infonce", k), ("eqco", k))]
        rates = " / ".join(f"{cell[2]:g}" if cell else NOT_RUN for cell in cells)
        values = [grid.values(cell) if cell else {} for cell in cells]
        lines.append([rates, str(k), *compared(*values)])
    return markdown_table(("full / InfoNCE / EqCo at lr", *VERDICTS), lines)


def baseline_line(scale: str, recipes: Sequence[Recipe], rates: Sequence[float]) -> list[str]:
    """Full-K InfoNCE of a method at each rate, the best one in bold once all are there."""
    at = {recipe.learning_rate: records.recipe_runs(scale, [recipe]) for recipe in recipes}
    done = all(len(runs) for runs in at.values())
    best = max(at, key=lambda rate: at[rate]["linear"].mean()) if done else None
    texts = []
    for rate in rates:
        runs = at.get(rate)
        text = "–" if runs is None else spread(list(runs["linear"].dropna()))
        text = NOT_RUN if runs is not None and runs.empty else text
        texts.append(f"**{text}**" if rate == best else text)
    return [METHODS[recipes[0].method].title, scale, *texts]


def baseline_rates() -> str:
    """Full-K InfoNCE of every method at each rate, by which the rates of all rows are chosen."""
    rates = sorted({*RATES, *METHOD_RATES})
    lines = []
    for scale in shown_scales():
        found = baselines(SCALES[scale], evidence_base(scale))
        for method in METHOD_NAMES:
            own = [recipe for recipe in found if recipe.method == method]
            lines.append(baseline_line(scale, own, rates))
    return markdown_table(["method", "scale", *(f"lr {rate:g}" for rate in rates)], lines)


def missing_runs(scale: str) -> list[tuple[Recipe, int]]:
    """Runs of the grid and the baselines that have no record."""
    base = evidence_base(scale)
    wanted = jobs(SCALES[scale], base, GRID_SEEDS, ("baselines", "grid"))
    found = records.runs(scale)
    known = set(zip(found["digest"], found["seed"], strict=True))
    return [(j.recipe, j.seed) for j in wanted if (j.recipe.digest(), j.seed) not in known]


def sentence_of_missing(scale: str) -> str:
    """How many runs the sweep of a scale has, and the command that makes the others."""
    left, seeds = missing_runs(scale), len(GRID_SEEDS)
    wanted = jobs(SCALES[scale], evidence_base(scale), GRID_SEEDS, ("baselines", "grid"))
    done = f"Scale {scale}: {len(wanted) - len(left)} of {len(wanted)} runs of {seeds} seeds."
    if not left:
        return done
    command = f"python -m reproductions sweep --parts baselines grid --seeds {seeds}"
    command += f"{missing.options(scale)} --records reproductions/records"
    return f"{done} Not run: {len(left)}; `{command}` makes them ({missing.total(scale, left)})."


def count() -> str:
    """What of the sweep is there, by scale; seeds of a cell are told in its brackets."""
    least = f"A verdict needs {LEAST_SEEDS} seeds of both cells."
    return "\n\n".join([*(sentence_of_missing(scale) for scale in shown_scales()), least])


SECTIONS: dict[str, Callable[[], str]] = {
    "count": count,
    "metrics": lambda: in_each(metrics_of),
    "fixed": lambda: in_each(fixed_of),
    "best": lambda: in_each(best_of),
    "diagnostics": lambda: in_each(diagnostics_of),
    "methods": baseline_rates,
}

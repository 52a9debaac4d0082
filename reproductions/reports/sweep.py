"""The page of the sweep learning rate x K x loss: docs/sweep.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from eqco.evaluation.metrics import METRICS
from eqco.losses.registry import LOSSES
from eqco.methods import METHODS
from reproductions.experiments.grid import GRID_SEEDS, METHOD_RATES, RATES, baselines, grid
from reproductions.experiments.missing import sentence_of_missing
from reproductions.results.evidence import by_seed, committed, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import judge, weighted_sums
from reproductions.statistics.wording import NOT_RUN, points
from reproductions.tables.claims import JUDGED
from reproductions.tables.formats import markdown_table, spread

METHOD_NAMES = ("simo", "moco", "simclr")
Cell = tuple[str, int, float]  # loss, K, learning rate
Runs = dict[Cell, pd.DataFrame]
Shown = Callable[[pd.DataFrame], str]


def sweep_runs(scale: str, method: str) -> Runs:
    """Runs of each cell of a method's sweep, of the sweep's seeds."""
    recipes = [r for r in grid(SCALES[scale], committed(scale).base) if r.method == method]
    found = committed(scale).runs(recipes)
    found = found[found["seed"].isin(GRID_SEEDS)]
    return {
        (each.loss, each.num_negatives, each.learning_rate): found[found["digest"] == each.digest()]
        for each in recipes
    }


def at_rates(runs: Runs, loss: str, k: int) -> dict[float, pd.DataFrame]:
    """Runs of a loss at a K by learning rate."""
    return {cell[2]: found for cell, found in runs.items() if cell[:2] == (loss, k)}


def best_rate(at: Mapping[float, pd.DataFrame], metric: str = "linear") -> float | None:
    """The learning rate with the best mean; None until every rate has a run."""
    means = {rate: float(runs[metric].mean()) for rate, runs in at.items()}
    return None if any(map(math.isnan, means.values())) else max(means, key=means.__getitem__)


def texts(
    at: Mapping[float, pd.DataFrame], rates: Iterable[float], shown: Shown, metric: str = ""
) -> list[str]:
    """What is shown of the runs at each rate; the best rate by the metric in bold."""
    found = {rate: shown(runs) if len(runs) else NOT_RUN for rate, runs in at.items()}
    if metric and (best := best_rate(at, metric)):
        found[best] = f"**{found[best]}**"
    return [found.get(rate, "–") for rate in rates]


def spread_of(metric: str) -> Shown:
    """Shows mean and spread of a metric."""
    return lambda runs: spread(runs[metric].dropna())


def in_each(write: Callable[[Runs], str]) -> str:
    """A part for each scale and method with runs; others are named where runs are missing."""
    parts = []
    for scale in shown_scales():
        for method in METHOD_NAMES:
            runs = sweep_runs(scale, method)
            if any(map(len, runs.values())):
                title = f"{METHODS[method].title}, scale {scale}"
                parts.append(f"### {title}\n\n{write(runs)}")
    return "\n\n".join(parts) or sentence_of_missing("glyphs")


def by_rate(runs: Runs, shown: Shown, metric: str = "") -> str:
    """Loss and K down, learning rate across; the best rate by the metric in bold."""
    rates = sorted({rate for (_, _, rate), frame in runs.items() if len(frame)})
    lines = [
        [LOSSES[loss].title, str(k), *texts(at_rates(runs, loss, k), rates, shown, metric)]
        for loss, k in dict.fromkeys(cell[:2] for cell, frame in runs.items() if len(frame))
    ]
    return markdown_table(["loss", "K", *(f"lr {rate:g}" for rate in rates)], lines)


def metrics_of(runs: Runs) -> str:
    """The metrics by which claims are judged, each under its title."""
    return "\n\n".join(
        f"#### {METRICS[name].title}\n\n{by_rate(runs, spread_of(name), name)}" for name in JUDGED
    )


def diagnostics_of(runs: Runs) -> str:
    """Mean 1 - pi_0 and CV^2 of the trained encoders."""
    return by_rate(runs, lambda r: f"{r['one_minus_pi0'].mean():.2f} / {r['cv2'].mean():.1f}")


DIFFERENCES = ("K", "lost: full − InfoNCE", "given back: EqCo − InfoNCE", "remains: full − EqCo")


def differences(start: str, lines: Iterable[list[str]]) -> str:
    """Lines of which a difference is known; what they start with, K, and the differences."""
    known = [line for line in lines if any(text != NOT_RUN for text in line[2:])]
    return markdown_table((start, *DIFFERENCES), known) if known else "Not run."


def compared(accuracies: Iterable[dict[int, float]]) -> list[str]:
    """Differences of InfoNCE with all negatives, InfoNCE and EqCo, with 95 % intervals."""
    full, plain, eqco = accuracies
    texts = []
    for left, right in ((full, plain), (eqco, plain), (full, eqco)):
        sums = weighted_sums([left, right], [1, -1], GRID_SEEDS)
        texts.append(
            points(judge(sums, -math.inf, math.inf, len(GRID_SEEDS))) if len(sums) else NOT_RUN
        )
    return texts


def cells_below(runs: Runs) -> dict[int, tuple[tuple[str, int], ...]]:
    """What is compared at each K below full K: loss and K of three lines of the sweep."""
    *below, most = sorted({k for _, k, _ in runs})
    return {k: (("infonce", most), ("infonce", k), ("eqco", k)) for k in below}


def fixed_of(runs: Runs) -> str:
    """The paper's protocol: one learning rate for every cell."""
    lines = [
        [f"{rate:g}", str(k), *compared(by_seed(runs[*cell, rate]) for cell in cells)]
        for rate in sorted({rate for _, _, rate in runs})
        for k, cells in cells_below(runs).items()
    ]
    return differences("learning rate", lines)


def best_of(runs: Runs) -> str:
    """Each cell at its own best rate, by the mean over its seeds."""
    lines = []
    for k, cells in cells_below(runs).items():
        at = [at_rates(runs, *cell) for cell in cells]
        best = list(map(best_rate, at))
        rates = " / ".join(f"{rate:g}" if rate else NOT_RUN for rate in best)
        found = [by_seed(by[rate]) if rate else {} for by, rate in zip(at, best, strict=True)]
        lines.append([rates, str(k), *compared(found)])
    return differences("full / InfoNCE / EqCo at lr", lines)


def baseline_rates() -> str:
    """Full-K InfoNCE of every method at each rate, by which the rates of all rows are chosen."""
    rates, lines = sorted({*RATES, *METHOD_RATES}), []
    for scale in shown_scales():
        recipes = baselines(SCALES[scale], committed(scale).base)
        for method in METHOD_NAMES:
            own = [recipe for recipe in recipes if recipe.method == method]
            at = {recipe.learning_rate: committed(scale).runs([recipe]) for recipe in own}
            cells = texts(at, rates, spread_of("linear"), "linear")
            lines.append([METHODS[method].title, scale, *cells])
    return markdown_table(["method", "scale", *(f"lr {rate:g}" for rate in rates)], lines)


def count() -> str:
    """What of the sweep is there, by scale; seeds of a cell stand in its brackets."""
    return "\n\n".join(sentence_of_missing(scale) for scale in shown_scales())


SECTIONS: dict[str, Callable[[], str]] = {
    "count": count,
    "metrics": lambda: in_each(metrics_of),
    "fixed": lambda: in_each(fixed_of),
    "best": lambda: in_each(best_of),
    "diagnostics": lambda: in_each(diagnostics_of),
    "methods": baseline_rates,
}

"""The page of the sweep learning rate x K x loss: docs/sweep.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from reproductions import evidence, markdown, sweep
from reproductions.evidence import by_seed, metric_titles
from reproductions.judge import Verdict, better, equivalent
from reproductions.markdown import short
from reproductions.report import spread

GLYPHS = "glyphs"


def grid_runs() -> pd.DataFrame:
    """Runs of the sweep rate x K x loss, its own seeds."""
    found = evidence.recipe_runs(GLYPHS, [*sweep.baselines(), *sweep.grid()])
    return found[found["seed"].isin(sweep.SEEDS)]


def by_rate(cell: Callable[[pd.DataFrame], str], bold: str = "") -> str:
    """Loss and K down, learning rate across; the best rate by the metric `bold` in bold."""
    found, lines = grid_runs(), []
    rates = sorted(found["learning_rate"].unique())
    for (loss, k), part in found.groupby(["loss_title", "num_negatives"], sort=True):
        texts = {rate: cell(part[part["learning_rate"] == rate]) for rate in rates}
        if bold and part[bold].notna().any():
            best = part.groupby("learning_rate")[bold].mean().idxmax()
            texts[best] = f"**{texts[best]}**"
        lines.append([str(loss), str(k), *texts.values()])
    return markdown.table(["loss", "K", *(f"lr {rate:g}" for rate in rates)], lines)


def metrics_by_rate() -> str:
    """Every metric of the sweep, under its title."""

    def one(metric: str) -> str:
        return by_rate(lambda part: spread(list(part[metric].dropna())), metric)

    return "\n\n".join(f"### {title}\n\n{one(name)}" for name, title in metric_titles().items())


def diagnostics_by_rate() -> str:
    """Mean 1 - pi_0 and CV^2 of the trained encoders."""
    return by_rate(lambda p: f"{p['one_minus_pi0'].mean():.2f} / {p['cv2'].mean():.1f}")


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


def at_one_rate() -> str:
    """The paper's protocol: one learning rate for every cell, verdicts at each rate."""
    found, lines = grid_runs(), []
    *below, most = sorted(found["num_negatives"].unique())
    for rate in sorted(found["learning_rate"].unique()):
        at = found[found["learning_rate"] == rate]
        full = by_seed(at, loss="infonce", num_negatives=most)
        for k in below:
            losses = (by_seed(at, loss=loss, num_negatives=k) for loss in ("infonce", "eqco"))
            lines.append([f"{rate:g}", str(k), *compared(full, *losses)])
    return markdown.table(("learning rate", *VERDICTS), lines)


def at_best_rates() -> str:
    """Verdicts with each cell at its own best rate, by the mean over its seeds."""
    found, lines = grid_runs(), []
    *below, most = sorted(found["num_negatives"].unique())

    def best(loss: str, k: int) -> tuple[float, dict[int, float]]:
        part = found[(found["loss"] == loss) & (found["num_negatives"] == k)]
        rate: Any = part.groupby("learning_rate")["linear"].mean().idxmax()
        return float(rate), by_seed(part, learning_rate=rate)

    for k in below:
        cells = [best("infonce", most), best("infonce", k), best("eqco", k)]
        rates = " / ".join(f"{rate:g}" for rate, _ in cells)
        lines.append([rates, str(k), *compared(*(values for _, values in cells))])
    return markdown.table(("full / InfoNCE / EqCo at lr", *VERDICTS), lines)


def method_rates() -> str:
    """Full-K InfoNCE of MoCo v2 and SimCLR at each rate tried."""
    found = evidence.recipe_runs(GLYPHS, sweep.method_baselines())
    lines = []
    for method, part in found.groupby("method_title", sort=False):
        rates = [part[part["learning_rate"] == rate] for rate in sweep.METHOD_RATES]
        lines.append([str(method), *(spread(list(each["linear"])) for each in rates)])
    return markdown.table(["method", *(f"lr {rate:g}" for rate in sweep.METHOD_RATES)], lines)


SECTIONS: dict[str, Callable[[], str]] = {
    "count": lambda: f"{len(grid_runs())} runs of {len(sweep.SEEDS)} seeds.",
    "metrics": metrics_by_rate,
    "fixed": at_one_rate,
    "best": at_best_rates,
    "diagnostics": diagnostics_by_rate,
    "methods": method_rates,
}

"""Write what the committed records say into README.md, TABLES.md and SWEEP.md.

python -m reproductions.status            rewrites them
python -m reproductions.status --check    fails where they are not what the records say
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from eqco import record as records
from eqco.judge import Verdict, better, equivalent
from eqco.recipe import SCALES, Recipe
from eqco.report import (
    LOSS_TITLES,
    METHOD_TITLES,
    NOT_VERIFIED,
    Cell,
    duration,
    frame,
    published,
    spread,
)
from reproductions.session import TABLES
from reproductions.sweep import METHOD_RATES, baseline, grid
from reproductions.tables import baseline as table_baseline

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
SWEEP = HERE / "SWEEP.md"
RESULTS = HERE / "TABLES.md"
CONTRADICTED = HERE / "contradicted.csv"
METRIC_TITLES = {"linear": "linear probe", "knn": "kNN", "class_mean": "nearest class mean"}


def evidence(scale: str) -> pd.DataFrame:
    """The committed records of a scale in one frame; empty where there are none."""
    folder = HERE / "records" / scale
    return frame(records.read_all(folder)) if folder.is_dir() else pd.DataFrame()


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *lines])


def by_seed(runs: pd.DataFrame, metric: str, **where: object) -> dict[int, float]:
    """The metric of the runs that match, by seed."""
    for name, value in where.items():
        runs = runs[runs[name] == value]
    return dict(zip(runs["seed"], runs[metric], strict=True))


def judge(
    test: Callable[[Sequence[float], Sequence[float]], Verdict],
    left: dict[int, float],
    right: dict[int, float],
) -> Verdict | None:
    """Verdict over the seeds both have; None without any."""
    seeds = sorted(left.keys() & right.keys())
    return test([left[s] for s in seeds], [right[s] for s in seeds]) if seeds else None


def short(verdict: Verdict | None) -> str:
    """`+0.3 [-0.1, +0.7] n=5: supported`."""
    if verdict is None:
        return "not run"
    if verdict.n < 2:
        return f"{verdict.mean:+.2f} (n=1): undetermined"
    return f"{verdict.mean:+.2f} [{verdict.low:+.2f}, {verdict.high:+.2f}] n={verdict.n}: " + (
        f"**{verdict.status}**"
    )


def base_of(scale: str) -> Recipe:
    """The baseline of a scale; where the data is part of the recipe, that of the records."""
    base, runs = SCALES[scale].base, evidence(scale)
    if base.data == "folder" and not runs.empty:
        return replace(base, data=runs["data"].iloc[0])
    return base


def table_of(number: int, scale: str) -> str:
    """A table at a scale: cells, then claims, in Markdown."""
    runs, base = evidence(scale), base_of(scale)
    table, values = TABLES[number], published(HERE / "paper", number)
    digest_of = runs["run_id"].str.split("-").str[-2] if not runs.empty else None
    lines, cells = [], {}
    for name, recipe in table.rows(scale, base).items():
        mine = runs[digest_of == recipe.digest()] if digest_of is not None else runs
        cells[name] = by_seed(mine, "linear") if len(mine) else {}
        lines.append(
            [
                Cell(recipe, "", {}, "", name).title,
                METHOD_TITLES[recipe.method],
                str(recipe.num_negatives),
                values.get(name, NOT_VERIFIED),
                *(spread(list(mine[m])) if len(mine) else "not run" for m in METRIC_TITLES),
                duration(mine["seconds"].median()) if len(mine) else "–",
            ]
        )
    header = ["loss", "method", "K", "published (ImageNet)", *METRIC_TITLES.values(), "a run"]
    claims = [
        [c.says, short(judge(c.test, cells[c.left], cells[c.right]))]
        for c in table.claims(scale, base).values()
    ]
    verdicts = markdown(["claim", "mean difference [90 % interval]: verdict"], claims)
    return f"{markdown(header, lines)}\n\n{verdicts}"


def contradicted() -> str:
    """Claims that the committed records contradict, as CSV: the expected failures of the suite."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("scale", "table", "claim", "verdict"))
    for scale in (name for name, each in SCALES.items() if each.evidence):
        runs, base = evidence(scale), base_of(scale)
        if runs.empty:
            continue
        digest_of = runs["run_id"].str.split("-").str[-2]
        for number, table in TABLES.items():
            rows = table.rows(scale, base)
            for name, claim in table.claims(scale, base).items():
                left, right = (
                    by_seed(runs[digest_of == rows[row].digest()], "linear")
                    for row in (claim.left, claim.right)
                )
                verdict = judge(claim.test, left, right)
                if verdict and verdict.status == "contradicted":
                    writer.writerow((scale, number, name, str(verdict)))
    return stream.getvalue()


def grid_table(runs: pd.DataFrame, metric: str) -> str:
    """Loss and K down, learning rate across; the best rate of each line in bold."""
    rates = sorted(runs["learning_rate"].unique())
    lines = []
    for (loss, k), part in runs.groupby(["loss", "num_negatives"], sort=True):
        means = part.groupby("learning_rate")[metric].mean()
        cells = []
        for rate in rates:
            text = spread(list(part[part["learning_rate"] == rate][metric]))
            cells.append(f"**{text}**" if rate == means.idxmax() else text)
        lines.append([LOSS_TITLES[str(loss)], str(k), *cells])
    return markdown(["loss", "K", *(f"lr {rate:g}" for rate in rates)], lines)


def fixed_rate_table(runs: pd.DataFrame) -> str:
    """The paper's protocol: one learning rate for every cell, verdicts at each rate."""
    lines = []
    for rate in sorted(runs["learning_rate"].unique()):
        at = runs[runs["learning_rate"] == rate]
        full = by_seed(at, "linear", loss="infonce", num_negatives=255)
        for k in (4, 16, 64):
            plain = by_seed(at, "linear", loss="infonce", num_negatives=k)
            ours = by_seed(at, "linear", loss="eqco", num_negatives=k)
            lines.append(
                [
                    f"{rate:g}",
                    str(k),
                    short(judge(better, full, plain)),
                    short(judge(equivalent, ours, full)),
                    short(judge(better, ours, plain)),
                ]
            )
    return markdown(VERDICT_HEADER, lines)


VERDICT_HEADER = (
    "learning rate",
    "K",
    "full − InfoNCE(K): a drop?",
    "EqCo(K) − full: the same within 1?",
    "EqCo(K) − InfoNCE(K): better?",
)


def best_rate_table(runs: pd.DataFrame) -> str:
    """Every cell at the rate that is best for it, by the mean over its seeds."""

    def at_best(loss: str, k: int) -> tuple[float, dict[int, float]]:
        part = runs[(runs["loss"] == loss) & (runs["num_negatives"] == k)]
        rate = float(part.groupby("learning_rate")["linear"].mean().idxmax())
        return rate, by_seed(part, "linear", learning_rate=rate)

    lines = []
    full_rate, full = at_best("infonce", 255)
    for k in (4, 16, 64):
        (plain_rate, plain), (ours_rate, ours) = at_best("infonce", k), at_best("eqco", k)
        lines.append(
            [
                f"{full_rate:g} / {plain_rate:g} / {ours_rate:g}",
                str(k),
                short(judge(better, full, plain)),
                short(judge(equivalent, ours, full)),
                short(judge(better, ours, plain)),
            ]
        )
    return markdown(("full / InfoNCE / EqCo at lr", *VERDICT_HEADER[1:]), lines)


def diagnostics_table(runs: pd.DataFrame) -> str:
    """Mean 1 - pi_0 and CV^2 of the trained encoders."""
    rates = sorted(runs["learning_rate"].unique())
    lines = []
    for (loss, k), part in runs.groupby(["loss", "num_negatives"], sort=True):
        means = part.groupby("learning_rate")[["one_minus_pi0", "cv2"]].mean()
        cells = [
            f"{means['one_minus_pi0'][r]:.2f} / {means['cv2'][r]:.1f}" if r in means.index else "–"
            for r in rates
        ]
        lines.append([LOSS_TITLES[str(loss)], str(k), *cells])
    return markdown(["loss", "K", *(f"lr {rate:g}" for rate in rates)], lines)


def method_rates() -> str:
    """Full-K InfoNCE of MoCo v2 and SimCLR at each rate tried: what chose theirs."""
    runs = evidence("glyphs")
    lines = []
    for method in ("moco", "simclr"):
        full = table_baseline("glyphs", method)
        found = {}
        for rate in METHOD_RATES:
            digest = replace(full, learning_rate=rate).digest()
            mine = runs[runs["run_id"].str.split("-").str[-2] == digest]
            found[rate] = spread(list(mine["linear"]))
        lines.append([METHOD_TITLES[method], *found.values()])
    return markdown(["method", *(f"lr {rate:g}" for rate in METHOD_RATES)], lines)


def sweep_sections() -> dict[str, str]:
    """What stands between the markers of SWEEP.md."""
    runs = evidence("glyphs")
    of_grid = {recipe.digest() for recipe in [*baseline(), *grid()]}
    of_grid |= {recipe.digest() for recipe in TABLES[1].rows("glyphs").values()}
    runs = runs[runs["run_id"].str.split("-").str[-2].isin(of_grid)]
    grid_runs = runs[runs["seed"] < 3]  # the sweep's own seeds; table 1 has more
    count = f"{len(grid_runs)} runs of 3 seeds.\n\n"
    return {
        "count": count.strip(),
        **{metric: grid_table(grid_runs, metric) for metric in METRIC_TITLES},
        "fixed": fixed_rate_table(grid_runs),
        "best": best_rate_table(grid_runs),
        "diagnostics": diagnostics_table(grid_runs),
        "methods": method_rates(),
    }


def filled(text: str, sections: dict[str, str]) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    for name, content in sections.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise ValueError(f"marker {start} … {end} is missing")
        head, rest = text.split(start, 1)
        text = f"{head}{start}\n{content}\n{end}{rest.split(end, 1)[1]}"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite or check the pages."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing, fail where stale")
    given = parser.parse_args(arguments)
    readme = {f"table1-{scale}": table_of(1, scale) for scale in ("glyphs", "photos")}
    others = {f"table{number}-glyphs": table_of(number, "glyphs") for number in range(2, 7)}
    stale = []
    failing = contradicted()
    if not CONTRADICTED.exists() or CONTRADICTED.read_text(encoding="utf-8") != failing:
        stale.append(CONTRADICTED.name)
        if not given.check:
            CONTRADICTED.write_text(failing, encoding="utf-8")
    for page, sections in ((README, readme), (RESULTS, others), (SWEEP, sweep_sections())):
        before = page.read_text(encoding="utf-8")
        after = filled(before, sections)
        if after != before:
            stale.append(page.name)
            if not given.check:
                page.write_text(after, encoding="utf-8")
    print(f"{'stale' if given.check else 'rewritten'}: {', '.join(stale) or 'nothing'}")
    return 1 if given.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Write what the committed records say into README.md and docs/.

    python -m reproductions pages            rewrites them
    python -m reproductions pages --check    fails where they are not what the records say

A page has sections between `<!-- name -->` and `<!-- /name -->`; PAGES says what fills each.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

from eqco.engine.progress import duration
from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runtime.files import write_atomically
from reproductions.experiments import missing
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.formats import markdown_table, spread
from reproductions.reports import log_pages, readme, sensitivity, sweep
from reproductions.reports.figures import PICTURES, picture
from reproductions.results import published, records
from reproductions.results.records import (
    evidence_base,
    judge_claim,
    judged_scales,
    metric_titles,
    shown_scales,
)
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import Verdict
from reproductions.statistics.wording import NOT_RUN, points, short
from reproductions.tables import TABLES, table
from reproductions.tables.base import Claim, Row
from reproductions.tables.claims import JUDGED, inside

HERE = Path(__file__).parents[1]
ROOT = HERE.parent
CONTRADICTED = HERE / "contradicted.csv"
GLYPHS = "glyphs"


def row_cells(number: int, scale: str, row: Row) -> list[str]:
    """A row of a table's page; a row without a record says so, with the price of a run."""
    mine = records.recipe_runs(scale, [row.recipe])
    cells = [
        row.title,
        METHODS[row.recipe.method].title,
        str(row.recipe.num_negatives),
        published.shown(number, row.name),
    ]
    if mine.empty:
        return [*cells, *(NOT_RUN for _ in metric_titles()), missing.cost(scale, [row.recipe])]
    metrics = (spread(list(mine[metric].dropna())) for metric in metric_titles())
    return [*cells, *metrics, duration(mine["seconds"].median())]


def prediction_cells(claim: Claim, verdict: Verdict | None) -> list[str]:
    """What was predicted, what came out by the linear probe, and whether that agrees."""
    if claim.predicted is None:
        return ["–"] * len(PREDICTION)
    words = {True: "yes", False: "no", None: "–"}
    measured = f"{points(verdict)} n={verdict.n}" if verdict else NOT_RUN
    return [f"{claim.predicted:+.1f}", measured, words[inside(claim, verdict)]]


PREDICTION = ("predicted", "measured", "inside?")


def claim_lines(number: int, scale: str) -> str:
    """The claims of a table at a scale; where points were predicted, with them."""
    claims = table(number, scale, evidence_base(scale)).claims
    predicted = scale == GLYPHS and any(claim.predicted is not None for claim in claims)
    header, lines = ["claim", *(PREDICTION if predicted else ())], []
    for claim in claims:
        beside = prediction_cells(claim, judge_claim(number, scale, claim)) if predicted else []
        verdicts = (short(judge_claim(number, scale, claim, metric)) for metric in JUDGED)
        lines.append([claim.statement, *beside, *verdicts])
    header += [f"{metric_titles()[metric]}: verdict" for metric in JUDGED]
    return markdown_table(header, lines)


def table_page(number: int, scale: str) -> str:
    """A table at a scale: cells, claims, and what has no record; or that it was not run."""
    rows = table(number, scale, evidence_base(scale)).rows
    left = sentence(missing.table_not_run(number, scale))
    if len(missing.without_runs(number, scale)) == len(rows):
        return f"### Scale {scale}\n\n{left}"
    header = ["loss", "method", "K", "published (ImageNet)", *metric_titles().values(), "a run"]
    cells = markdown_table(header, [row_cells(number, scale, row) for row in rows])
    parts = [f"### Scale {scale}", cells, left, claim_lines(number, scale)]
    return "\n\n".join(filter(None, parts))


def sentence(text: str) -> str:
    """With a capital and a full stop; "" stays."""
    return f"{text[0].upper()}{text[1:]}." if text else ""


def all_tables() -> str:
    """Every table at glyphs and at every scale that has a record."""
    pages = []
    for number in TABLES:
        pages.append(f"## Table {number}: {table(number, GLYPHS).title}")
        pages += [table_page(number, scale) for scale in shown_scales()]
    return "\n\n".join([*pages, other_scales()])


def other_scales() -> str:
    """Scales without any record, with the command that prices them; "" where there are none."""
    names = [n for n, each in SCALES.items() if each.evidence and n not in shown_scales()]
    plans = ", ".join(f"`python -m reproductions plan --scale {name}`" for name in names)
    return f"Without any record: the runs and their prices are printed by {plans}." if names else ""


def prices() -> str:
    """Runs and time of each table at scale glyphs, one seed."""
    lines, seen = [], set[Recipe]()
    for number in TABLES:
        found = table(number, GLYPHS)
        own = {row.recipe for row in found.rows}
        lines.append(
            [
                f"`{missing.table_command(number, GLYPHS)}`",
                f"{found.title}: {len(own)} runs, {len(own & seen)} shared with earlier tables",
                missing.cost(GLYPHS, own - seen) if own - seen else "nothing more",
            ]
        )
        seen |= own
    known = missing.price(GLYPHS)
    return markdown_table(["command", "what", known.origin if known else "price"], lines)


README, GALLERY = ROOT / "README.md", ROOT / "figures" / "README.md"
PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "answer": lambda: f"{readme.answer()}\n\n{picture('accuracy_vs_k', README)}",
        "summary": readme.summary,
        "claims": readme.paper_claims,
    },
    GALLERY: {name: partial(picture, name, GALLERY) for name in PICTURES},
    ROOT / "docs" / "tables.md": {"instrument": sensitivity.section, "tables": all_tables},
    ROOT / "docs" / "commands.md": {"prices": prices},
    ROOT / "docs" / "sweep.md": sweep.SECTIONS,
    log_pages.LOG / "README.md": {"index": log_pages.index},
    **{log_pages.log_page(n): {"outcome": partial(log_pages.section, n)} for n in EXPERIMENTS},
}


def contradicted() -> str:
    """Claims that the committed records contradict, as CSV: the expected failures of the suite."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("scale", "table", "claim", "verdict"))
    for scale in judged_scales():
        for number in TABLES:
            for claim in table(number, scale, evidence_base(scale)).claims:
                verdict = judge_claim(number, scale, claim)
                if verdict and verdict.status == "contradicted":
                    writer.writerow((scale, number, claim.name, str(verdict)))
    return stream.getvalue()


def filled(page: Path, sections: dict[str, str]) -> str:
    """The text of a page with new content between `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: the page lacks a marker.
    """
    text = page.read_text(encoding="utf-8")
    for name, content in sections.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise ValueError(f"{page.name}: marker {start} … {end} is missing")
        head, rest = text.split(start, 1)
        text = f"{head}{start}\n{content}\n{end}{rest.split(end, 1)[1]}"
    return text


def main(given: argparse.Namespace) -> int:
    """Rewrite or check the pages; status 1 where a checked page is stale."""
    wanted = {CONTRADICTED: contradicted()}
    for page, sections in PAGES.items():
        contents = {name: content() for name, content in sections.items()}
        wanted[page] = filled(page, contents)
    stale = [
        page
        for page, text in wanted.items()
        if not page.exists() or page.read_text(encoding="utf-8") != text
    ]
    if not given.check:
        for page in stale:
            write_atomically(page, wanted[page])
    names = ", ".join(page.name for page in stale) or "nothing"
    print(f"{'stale' if given.check else 'rewritten'}: {names}")
    return 1 if given.check and stale else 0

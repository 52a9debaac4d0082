"""Write what the committed records say into README.md and docs/.

    python -m reproductions pages            rewrites them
    python -m reproductions pages --check    fails where they are not what the records say

A page has sections between `<!-- name -->` and `<!-- /name -->`; PAGES says what fills each.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import pandas as pd

from eqco.engine.progress import duration
from eqco.engine.run import untrained
from eqco.recipe import Recipe
from eqco.runtime.files import write_atomically
from reproductions.experiments import missing, supervised
from reproductions.experiments.planned import EXPERIMENTS
from reproductions.reports import answers, log_pages, readme, sensitivity, sweep
from reproductions.reports.figures import PICTURES, picture
from reproductions.reports.grids import CONTRADICTED, claim_grid, published_grid, row_grid
from reproductions.results.evidence import Evidence, committed, judged_scales, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import FAILS
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row
from reproductions.tables.claims import PRIMARY
from reproductions.tables.formats import Grid, markdown_table, spread

ROOT = Path(__file__).parents[2]
GLYPHS = "glyphs"


def run_cell(evidence: Evidence, row: Row) -> str:
    """Median time of a run of a row; "" without a record."""
    records = evidence.records_for(row).values()
    seconds = [record.seconds["train"] + record.seconds["probe"] for record in records]
    return duration(median(seconds)) if seconds else ""


def page_table(grid: Grid, counts: str = "") -> str:
    """A grid without its title; `counts`: a column whose empty cells have no line."""
    if counts:
        grid = replace(grid, frame=grid.frame[~grid.frame[counts].isin(["", "0"])])
    return markdown_table(grid.header, grid.lines) if grid.lines else ""


def references(evidence: Evidence) -> str:
    """What the encoder of a scale reaches untrained, and trained with labels."""
    bare = list(evidence.values(Row(untrained(evidence.base))).values())
    ceilings = supervised.measured()
    labels = list(ceilings.loc[ceilings["scale"] == evidence.scale, "linear"])
    encoders = {"untrained": bare, "trained with labels for as many epochs": labels}
    texts = [f"{name} {spread(values)}" for name, values in encoders.items() if values]
    return f"The same encoder by the linear probe: {'; '.join(texts)}." if texts else ""


def table_page(number: int, evidence: Evidence) -> str:
    """A table at a scale: rows and claims that were run, and how many were not."""
    parts = [f"### Scale {evidence.scale}", sentence(missing.table_not_run(number, evidence.scale))]
    if any(map(evidence.records_for, evidence.tables[number].rows)):
        times = [run_cell(evidence, row) for row in evidence.tables[number].rows]
        cells = row_grid(evidence, number, {"a run": times})
        parts[1:1] = [page_table(cells, "a run"), references(evidence)]
        parts.append(page_table(claim_grid(evidence, number), "n"))
    return "\n\n".join(filter(None, parts))


def sentence(text: str) -> str:
    """With a capital and a full stop; "" stays."""
    return f"{text[0].upper()}{text[1:]}." if text else ""


def all_tables() -> str:
    """Every table at glyphs and at every scale that has a record."""
    pages = []
    for number in TABLES:
        pages.append(f"## Table {number}: {table(number, GLYPHS).title}")
        pages += [table_page(number, committed(scale)) for scale in shown_scales()]
    return "\n\n".join([*pages, other_scales()])


def other_scales() -> str:
    """Scales without a finished row, with the command that prices them; "" where there are none."""
    names = [n for n, scale in SCALES.items() if scale.evidence and n not in shown_scales()]
    if not names:
        return ""
    plans = ", ".join(f"`python -m reproductions plan --scale {name}`" for name in names)
    return f"Scales without a finished row: their runs and prices are printed by {plans}."


def prices() -> str:
    """Runs and time of each table at scale glyphs, one seed."""
    lines, seen = [], set[Recipe]()
    for number in TABLES:
        recipes = {row.recipe for row in table(number, GLYPHS).rows}
        counts = f"{len(recipes)} runs, {len(recipes & seen)} shared with earlier tables"
        cost = missing.cost(GLYPHS, recipes - seen) if recipes - seen else "nothing more"
        what = f"{table(number, GLYPHS).title}: {counts}"
        lines.append([f"`{missing.table_command(number, GLYPHS)}`", what, cost])
        seen |= recipes
    price = missing.price(GLYPHS)
    return markdown_table(["command", "what", price.origin if price else "price"], lines)


README, GALLERY = ROOT / "README.md", ROOT / "figures" / "README.md"
LOG = log_pages.LOG / "README.md"
PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "answer": lambda: "\n\n".join([*readme.answers(), picture("verdicts", README)]),
        "summary": readme.summary,
        "claims": readme.paper_claims,
    },
    GALLERY: {name: partial(picture, name, GALLERY) for name in PICTURES},
    ROOT / "docs" / "tables.md": {
        "instrument": sensitivity.section,
        "error-rates": sensitivity.error_rates,
        "published": lambda: page_table(published_grid()),
        "tables": all_tables,
    },
    ROOT / "docs" / "results.md": answers.SECTIONS,
    ROOT / "docs" / "commands.md": {"prices": prices},
    ROOT / "docs" / "sweep.md": sweep.SECTIONS,
    LOG: {"predictions": partial(picture, "predictions", LOG), "index": log_pages.index},
    **{log_pages.log_page(n): {"outcome": partial(log_pages.section, n)} for n in EXPERIMENTS},
}


def contradicted() -> str:
    """Claims that do not hold by the committed records, as CSV: the suite's expected failures."""
    lines = [
        (scale, number, claim.name, str(verdicts[PRIMARY]))
        for scale in judged_scales()
        for number, claim, verdicts in committed(scale).judged()
        if PRIMARY in verdicts and verdicts[PRIMARY].status == FAILS
    ]
    frame = pd.DataFrame(lines, columns=["scale", "table", "claim", "verdict"])
    return frame.to_csv(index=False, lineterminator="\n")


def filled(page: Path, sections: dict[str, str]) -> str:
    """The text of a page with new content between `<!-- name -->` and `<!-- /name -->`.

    Numbers in its sentences are filled in, see `reproductions.reports.answers`.

    Raises:
        ValueError: the page lacks a marker, or a sentence no longer says what the records say.
    """
    text = answers.with_numbers(page.read_text(encoding="utf-8"))
    for name, content in sections.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise ValueError(f"{page.name}: marker {start} … {end} is missing")
        head, after = text.split(start, 1)
        text = f"{head}{start}\n{content}\n{end}{after.split(end, 1)[1]}"
    return text


def main(args: argparse.Namespace) -> int:
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
    if not args.check:
        for page in stale:
            write_atomically(page, wanted[page])
    names = ", ".join(page.name for page in stale) or "nothing"
    print(f"{'stale' if args.check else 'rewritten'}: {names}")
    return 1 if args.check and stale else 0

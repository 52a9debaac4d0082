"""The report: `python -m reproductions report` writes one HTML page.

The page loads nothing: style, script and pictures are in it. Its policy allows its own script and
style by their hashes and no request at all, so a text of a record could not run even unescaped.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eqco.artifacts.environment import commit
from eqco.artifacts.record import now
from eqco.engine.progress import duration
from eqco.runtime.files import write_atomically
from reproductions.experiments.missing import options
from reproductions.experiments.plan import price_by
from reproductions.reports import readme
from reproductions.reports.figures import PICTURES
from reproductions.reports.grids import published_grid, row_grid
from reproductions.reports.html import claims, runs, text
from reproductions.results.evidence import Evidence, committed, read
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS
from reproductions.tables.formats import Grid, to_html

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAPER = "https://arxiv.org/abs/2010.01929"
LEAD = "verdicts"  # the figure below the answer
PAGES = {
    "Figures": "figures/README.md",
    "Departures from the paper": "docs/deviations.md",
    "Log": "log/README.md",
}


def tables(found: Evidence) -> Iterator[Grid]:
    """Tables of a scale that have a record."""
    for number, table in found.tables.items():
        if any(map(found.of, table.rows)):
            falls = found.predictions(number)
            ranges = [falls.get(row.name) for row in table.rows]
            texts = ["{:.1f} to {:.1f}".format(*each) if each else "–" for each in ranges]
            yield row_grid(found, number, {"a new run": texts})


def not_run(found: Evidence, folder: Path | None) -> str:
    """The planned runs of the tables that are missing, with their price; "" for none.

    Args:
        found: records of a scale.
        folder: the folder for commands, None where they need not name it.
    """
    planned = {r: max(found.tables[n].planned for n in of) for r, (_, of) in found.rows.items()}
    lacking = {r: n - len(found.by_recipe.get(r, {})) for r, n in planned.items()}
    lacking = {recipe: count for recipe, count in lacking.items() if count > 0}
    if not lacking:
        return ""
    price, scale = price_by(found.scale, found.records), SCALES[found.scale]
    cost = f"a run: {scale.run}"
    if price:
        hours = sum(count * price.hours(recipe) for recipe, count in lacking.items())
        cost = f"{hours:,.0f} GPU-hours" if scale.paper else duration(3600 * hours)
        cost += f"; {price.origin}"
    words = f"{options(found.scale)} --seeds {max(planned.values())}"
    words += f" --records {shlex.quote(str(folder))}" if folder else ""
    count = f"{sum(lacking.values()):,} of {sum(planned.values()):,} planned runs"
    return f"{count} ({cost}): `pytest reproductions/{words}`"


def context(folder: Path, shown: Path | None) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        folder: of records, with a folder for each scale in it.
        shown: the folder for commands, None where they need not name it.
    """
    scales = {name: read(folder, name) for name, each in SCALES.items() if each.evidence}
    found = {name: each for name, each in scales.items() if each.records}
    sources = {}
    for name, each in found.items():
        if each.has_rows or shown:
            sources[name] = each
        if shown and committed(name).records:
            sources[f"{name}, committed"] = committed(name)
    answers = {
        name: readme.answer(readme.paper_verdicts("C1", each), each.scale)
        for name, each in sources.items()
    }
    missing = {name: not_run(each, shown) for name, each in scales.items()}
    return {
        "answers": {name: text.inline(words) for name, words in answers.items()},
        "lead": text.picture(ROOT / "figures" / "out" / f"{LEAD}.png", PICTURES[LEAD]),
        "methods": claims.of_paper(sources),
        "missing": {name: text.inline(words) for name, words in missing.items() if words},
        "skipped": [sentence for each in scales.values() for sentence in each.skipped],
        "folded": {
            "Every claim": list(map(claims.every_claim, found.values())),
            "Tables": [*(g for each in found.values() for g in tables(each)), published_grid()],
            "Every run": [
                *map(runs.made_with, found.values()),
                *map(runs.every_run, found.values()),
            ],
        },
        "curves": {name: runs.plots(each) for name, each in found.items()},
        "pages": {title: text.page(ROOT / name) for title, name in PAGES.items()},
        "paper": PAPER,
        "least_seeds": LEAST_SEEDS,
        "written": now(),
        "commit": (commit() or "")[:10],
    }


def policy(style: str, script: str) -> str:
    """The content security policy of a page with this style and this script."""

    def code(source: str) -> str:
        digest = hashlib.sha256(source.encode()).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

    return (
        f"default-src 'none'; style-src {code(style)}; script-src {code(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def render(values: dict[str, Any]) -> str:
    """The page; every text in `values` that is not `Markup` is escaped."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table"] = lambda grid: Markup(to_html(grid, claims.cell))
    environment.filters["badge"] = claims.badge
    own = {"style": Markup(style), "script": Markup(script), "policy": policy(style, script)}
    return environment.get_template("page.html").render(values, **own)


def main(given: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        ValueError: the folder of records does not exist, or the page is to go to a folder.
    """
    folder = given.records or RECORDS
    if not folder.is_dir() or (folder.name in SCALES and Records(folder)):
        raise ValueError(
            f"{folder} is no folder of records: --records takes one with a folder for each scale "
            "in it, such as runs/records"
        )
    if given.out.is_dir():
        raise ValueError(f"{given.out} is a folder: --out takes a file, such as report.html")
    page = render(context(folder, given.records))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(given.out, page)
    print(f"{given.out}: {len(page.encode()) / 1e6:.1f} MB")
    return 0

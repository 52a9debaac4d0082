"""The report: `python -m reproductions report` writes one HTML page.

The page loads nothing: style, script and pictures are in it. Its policy allows its own script and
style by their hashes and no request at all, so a text of a record could not run even unescaped.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eqco.artifacts.environment import source
from eqco.artifacts.record import now
from eqco.engine.progress import duration
from eqco.runtime.files import write_atomically
from reproductions.experiments.missing import options
from reproductions.experiments.plan import price_by
from reproductions.reports import readme
from reproductions.reports.figures import PICTURES
from reproductions.reports.grids import published_grid, row_grid
from reproductions.reports.html import claims, runs, text
from reproductions.results.evidence import Evidence, committed, read, shown_scales
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS
from reproductions.tables.formats import Grid, to_html

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PAPER = "https://arxiv.org/abs/2010.01929"
LEAD = "verdicts"  # the figure below the answer
PAGES = {
    "Results": "docs/results.md",
    "Figures": "figures/README.md",
    "Departures from the paper": "docs/deviations.md",
    "Log": "log/README.md",
}


def tables(evidence: Evidence) -> Iterator[Grid]:
    """Tables of a scale that have a record."""
    for number, table in evidence.tables.items():
        if any(map(evidence.records_for, table.rows)):
            intervals = evidence.predictions(number)
            ranges = [intervals.get(row.name) for row in table.rows]
            texts = ["{:.1f} to {:.1f}".format(*ends) if ends else "–" for ends in ranges]
            yield row_grid(evidence, number, {"a new run": texts})


def not_run(evidence: Evidence, folder: Path | None) -> str:
    """The planned runs of the tables that are missing, with their price; "" for none.

    Args:
        evidence: records of a scale.
        folder: the folder for commands, None where they need not name it.
    """
    planned = Counter(
        {
            recipe: max(evidence.tables[number].planned for number in numbers)
            for recipe, (_, numbers) in evidence.rows.items()
        }
    )
    lacking = planned - Counter({recipe: len(runs) for recipe, runs in evidence.by_recipe.items()})
    if not lacking:
        return ""
    price, scale = price_by(evidence.scale, evidence.records), SCALES[evidence.scale]
    cost = f"a run: {scale.run}"
    if price:
        hours = sum(count * price.hours(recipe) for recipe, count in lacking.items())
        cost = f"{hours:,.0f} GPU-hours" if scale.paper else duration(3600 * hours)
        cost += f"; {price.origin}"
    words = f"{options(evidence.scale)} --seeds {max(planned.values())}"
    words += f" --records {shlex.quote(str(folder))}" if folder else ""
    count = f"{sum(lacking.values()):,} of {sum(planned.values()):,} planned runs"
    return f"{count} ({cost}): `pytest reproductions/{words}`"


def answers(sources: dict[str, Evidence], shown: Path | None) -> list[str]:
    """Paragraphs that answer the question: those of the front page, or of a user's records.

    Args:
        sources: evidence by the name under which the page shows it.
        shown: the folder of a user's records; None for the committed ones.
    """
    if shown or not sources:
        return [
            f"**{name}:** {readme.answer(evidence)}"
            if "committed" in name
            else readme.answer(evidence)
            for name, evidence in sources.items()
        ]
    others = [evidence for name, evidence in sources.items() if name != readme.GLYPHS]
    return [*readme.answers(), *map(readme.answer, others)]


def context(folder: Path, shown: Path | None) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        folder: of records, with a folder for each scale in it.
        shown: the folder for commands, None where they need not name it.
    """
    scales = {name: read(folder, name) for name, scale in SCALES.items() if scale.evidence}
    with_records = {name: evidence for name, evidence in scales.items() if evidence.records}
    sources = {}
    for name, evidence in with_records.items():
        if shown or name in shown_scales():
            sources[name] = evidence
        if shown and committed(name).records:
            sources[f"{name}, committed"] = committed(name)
    missing = {name: not_run(evidence, shown) for name, evidence in scales.items()}
    return {
        "answers": [text.inline(words) for words in answers(sources, shown)],
        "lead": text.picture(ROOT / "figures" / "out" / f"{LEAD}.png", PICTURES[LEAD]),
        "methods": claims.paper_claims(sources),
        "missing": {name: text.inline(words) for name, words in missing.items() if words},
        "skipped": [sentence for evidence in scales.values() for sentence in evidence.skipped],
        "folded": {
            "Every claim": list(map(claims.every_claim, with_records.values())),
            "Tables": [*chain.from_iterable(map(tables, with_records.values())), published_grid()],
            "Every run": [
                *map(runs.made_with, with_records.values()),
                *map(runs.every_run, with_records.values()),
            ],
        },
        "curves": {name: runs.plots(evidence) for name, evidence in with_records.items()},
        "pages": {title: text.page(ROOT / name) for title, name in PAGES.items()},
        "paper": PAPER,
        "least_seeds": LEAST_SEEDS,
        "written": now(),
        "commit": (source()[0] or "")[:10],
    }


def policy(style: str, script: str) -> str:
    """The content security policy of a page with this style and this script."""
    digests = [hashlib.sha256(source.encode()).digest() for source in (style, script)]
    style_hash, script_hash = (base64.b64encode(digest).decode("ascii") for digest in digests)
    return (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
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
    embedded = {"style": Markup(style), "script": Markup(script), "policy": policy(style, script)}
    return environment.get_template("page.html").render(values, **embedded)


def main(args: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        ValueError: the folder of records does not exist, or the page is to go to a folder.
    """
    folder = args.records or RECORDS
    if not folder.is_dir() or (folder.name in SCALES and Records(folder)):
        raise ValueError(
            f"{folder} is not a folder of records: --records takes one with a folder for each "
            "scale in it, such as runs/records"
        )
    if args.out.is_dir():
        raise ValueError(f"{args.out} is a folder: --out takes a file, such as report.html")
    page = render(context(folder, args.records))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(args.out, page)
    print(f"{args.out}: {len(page.encode()) / 1e6:.1f} MB")
    return 0

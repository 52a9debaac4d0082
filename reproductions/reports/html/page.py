"""The report: `python -m reproductions report` writes one HTML page.

The page loads nothing: style, script and pictures are in it. Its policy allows its own script and
style by their hashes and no request at all, so a text of a record could not run even unescaped.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
from pathlib import Path
from statistics import mean
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from eqco.artifacts.record import commit, now
from eqco.evaluation.metrics import METRICS
from eqco.methods import METHODS
from eqco.runtime.files import write_atomically
from reproductions.experiments import not_run
from reproductions.reports.formats import spread
from reproductions.reports.html import claims, curves, text
from reproductions.reports.html.figures import figures
from reproductions.reports.html.provenance import Machines, origins
from reproductions.results import published
from reproductions.results import records as evidence
from reproductions.results.report_records import Evidence, read_all
from reproductions.scales import SCALES
from reproductions.statistics.intervals import near_published
from reproductions.statistics.verdicts import LEAST_SEEDS
from reproductions.tables.base import Row
from reproductions.tables.claims import PAPER, PRIMARY

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
SYMBOLS = dict(zip(claims.ORDER, "✓✗≈?–", strict=True))


def row_line(found: Evidence, number: int, row: Row, falls: dict[str, Any]) -> dict[str, Any]:
    """A row of a table for the template."""
    records, values = found.of(row), found.values(row)
    line = published.number_for(number, row.name)
    beside = ""
    if line and values and SCALES[found.scale].paper:
        beside = str(near_published(list(values.values()), float(line.value), line.trials))
    return {
        "row": row,
        "method": METHODS[row.recipe.method].title,
        "published": published.shown(number, row.name),
        "beside": beside,
        "means": {
            name: (spread(list(each.values())), mean(each.values()) if each else "")
            for name, each in ((name, found.values(row, name)) for name in METRICS)
        },
        "falls": "{:.1f} to {:.1f}".format(*falls[row.name]) if row.name in falls else "–",
        "seeds": {seed: record.metrics for seed, record in records.items()},
    }


def table_lines(found: Evidence) -> list[dict[str, Any]]:
    """Tables of a scale that have a record, for the template."""
    tables = []
    for number, table in found.tables.items():
        if any(map(found.of, table.rows)):
            falls = found.predictions(number)
            lines = [row_line(found, number, row, falls) for row in table.rows]
            others = published.numbers_without_row(number)
            tables.append({"number": number, "title": table.title, "rows": lines, "others": others})
    return tables


def scale_parts(found: Evidence, machines: Machines) -> dict[str, Any]:
    """Everything on a scale, for the template."""
    lines = claims.lines(found)
    of_tables = sum(len(found.of(row)) for row, _ in found.rows.values())
    return {
        "name": found.scale,
        "records": len(found.records),
        "elsewhere": len(found.records) - of_tables,
        "left_out": found.left_out,
        "seconds": sum(r.seconds["train"] + r.seconds["probe"] for r in found.records if r.seconds),
        "claims": lines,
        "headline": claims.headline(lines),
        "tally": claims.tally_of(lines) if lines else "",
        "paper": {paper: claims.by_paper(lines, paper) for paper in PAPER},
        "predicts": any(line.claim.predicted is not None and line.predicts for line in lines),
        "tables": table_lines(found),
        "curves": curves.plots(found),
        "origins": origins(found, machines),
    }


def context(folder: Path, shown: Path | None) -> dict[str, Any]:
    """What the template is filled with.

    Args:
        folder: of records, with a folder for each scale in it.
        shown: the folder for commands, None where they need not name it.
    """
    machines, found = Machines(), read_all(folder)
    scales = [scale_parts(each, machines) for each in found]
    pages = {
        name: (ROOT / name).read_text(encoding="utf-8") if (ROOT / name).exists() else ""
        for name in ("docs/deviations.md", "FINDINGS.md")
    }
    return {
        "scales": scales,
        "judged": [scale for scale in scales if scale["records"]],
        "missing": [line for each in found for line in not_run.missing(each, shown)],
        "prices": not_run.origins(found),
        "machines": machines.lines(),
        "figures": figures(),
        "departures": text.html(pages["docs/deviations.md"], 3, "Departures from the paper"),
        "findings": [
            (title, text.html(body, 4, title))
            for title, body in text.sections(pages["FINDINGS.md"])
        ],
        "metrics": {name: metric.title for name, metric in METRICS.items()},
        "primary": PRIMARY,
        "least_seeds": LEAST_SEEDS,
        "paper": PAPER,
        "elsewhere": claims.ELSEWHERE,
        "symbols": SYMBOLS,
        "order": claims.ORDER,
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
    environment.filters["inline"] = text.inline
    own = {"style": Markup(style), "script": Markup(script), "policy": policy(style, script)}
    return environment.get_template("page.html").render(values, **own)


def main(given: argparse.Namespace) -> int:
    """Write the page.

    Raises:
        ValueError: the folder of records does not exist, or the page is to go to a folder.
    """
    folder = given.records or evidence.RECORDS
    if not folder.is_dir():
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

"""Tables of a scale as grids: rows with their metrics, claims with their verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pandas as pd

from eqco.evaluation.metrics import METRICS
from eqco.methods import METHODS
from eqco.runtime.text import plain
from reproductions.results.evidence import Evidence
from reproductions.results.published import number_for, published, published_text
from reproductions.scales import SCALES
from reproductions.statistics.intervals import near_published
from reproductions.statistics.verdicts import CHANGED, Verdict
from reproductions.statistics.wording import INTERVAL, points, status
from reproductions.tables.base import Claim, Row
from reproductions.tables.claims import PRIMARY, SECOND_METRIC, inside
from reproductions.tables.formats import Grid, spread

PREDICTED_AT = "glyphs"  # the scale of `Claim.predicted`
ABSENT = "–"
HERE = Path(__file__).parents[1]
BEFORE = HERE / "verdicts_before.csv"  # of the rules that were in force until `CHANGED`
CONTRADICTED = HERE / "contradicted.csv"  # claims that do not hold by the committed records


def row_grid(
    evidence: Evidence, number: int, more: Mapping[str, Iterable[str]], metrics: Iterable[str] = ()
) -> Grid:
    """Rows of a table with mean, spread and count of their metrics.

    Args:
        evidence: records of the scale.
        number: of the table.
        more: further columns by title; published numbers are added at the paper's own scale.
        metrics: by name; all of them where none is named.
    """
    table = evidence.tables[number]
    columns: dict[str, Iterable[str]] = {
        "loss": [row.title for row in table.rows],
        "method": [METHODS[row.recipe.method].title for row in table.rows],
        "K": [str(row.recipe.num_negatives) for row in table.rows],
    }
    for name in metrics or METRICS:
        values = [evidence.values(row, name).values() for row in table.rows]
        columns[METRICS[name].title] = map(spread, values)
    columns |= more
    if SCALES[evidence.scale].paper:
        columns["published"] = [published_cell(evidence, number, row) for row in table.rows]
    frame = pd.DataFrame({title: list(cells) for title, cells in columns.items()})
    title = f"Table {number}: {table.title}, scale {evidence.scale}"
    return Grid(frame, columns.keys() - {"loss", "method"}, title)


def published_cell(evidence: Evidence, number: int, row: Row) -> str:
    """The published number of a row, and whether its runs agree with it."""
    line, values = number_for(number, row.name), list(evidence.values(row).values())
    if line and values:
        return f"{line.value}; {near_published(values, float(line.value), line.trials)}"
    return published_text(number, row.name)


def prediction(claim: Claim, verdict: Verdict | None) -> str:
    """`+0.5, inside`: the points that were predicted, and whether the interval has them."""
    if claim.predicted is None:
        return ABSENT
    words = {True: ", inside", False: ", outside", None: ""}
    return f"{claim.predicted:+.1f}{words[inside(claim, verdict)]}"


@cache
def verdicts_in(file: Path, scale: str) -> dict[tuple[int, str], str]:
    """The verdicts of a file on claims of a scale, by table and name."""
    lines = pd.read_csv(file).query("scale == @scale")
    cases = zip(lines["table"], lines["claim"], strict=True)
    return dict(zip(cases, map(plain, lines["verdict"]), strict=True))


def claim_grid(evidence: Evidence, number: int) -> Grid:
    """Claims of a table with their verdicts by both metrics; where points were predicted, these."""
    table, earlier, lines = evidence.tables[number], verdicts_in(BEFORE, evidence.scale), []
    for claim in table.claims:
        verdicts = evidence.verdicts[number][claim.name]
        primary, secondary = verdicts.get(PRIMARY), verdicts.get(SECOND_METRIC)
        line = {
            "claim": claim.statement + (" (primary)" if claim.name == table.primary else ""),
            "method": claim.methods,
            "difference": claim.difference,
            "n": str(primary.n) if primary else "0",
            INTERVAL: points(primary) if primary else ABSENT,
            "verdict": status(primary),
            f"by {METRICS[SECOND_METRIC].title}": points(secondary) if secondary else ABSENT,
            "its verdict": status(secondary),
            f"until {CHANGED}": earlier.get((number, claim.name), ABSENT),
            "predicted": prediction(claim, primary),
        }
        lines.append(line)
    frame = pd.DataFrame(lines)
    empty = [name for name in frame.columns[-2:] if frame[name].eq(ABSENT).all()]
    if evidence.scale != PREDICTED_AT:
        empty.append("predicted")
    title = f"Claims of table {number}, scale {evidence.scale}"
    numbers = ("n", INTERVAL, f"by {METRICS[SECOND_METRIC].title}")
    return Grid(frame.drop(columns=dict.fromkeys(empty)), numbers, title)


def published_grid() -> Grid:
    """Published top-1 accuracies on ImageNet with their sources, each once."""
    lines = [
        (number.row or number.of, number.value, str(number.trials), number.source)
        for number in published()
        if number.metric == "top1"
    ]
    frame = pd.DataFrame(list(dict.fromkeys(lines)), columns=["of", "top-1 %", "runs", "source"])
    return Grid(frame, ("top-1 %", "runs"), "Published, ImageNet")

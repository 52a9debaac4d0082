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
from pathlib import Path

from eqco.methods import METHODS
from eqco.runs.files import write_atomically
from eqco.runs.progress import duration
from reproductions import evidence, markdown, published, sweep_page
from reproductions.claims import JUDGED, PRIMARY
from reproductions.evidence import evidence_base, judged_scales, metric_titles
from reproductions.judge import Verdict
from reproductions.markdown import points, short
from reproductions.report import spread
from reproductions.scales import SCALES
from reproductions.tables import TABLES, table
from reproductions.tables.cells import ASPECTS, Claim, Row

HERE = Path(__file__).parent
ROOT = HERE.parent
CONTRADICTED = HERE / "contradicted.csv"
GLYPHS = "glyphs"


def judge_claim(number: int, scale: str, claim: Claim, metric: str = PRIMARY) -> Verdict | None:
    """Verdict of the committed records on a table's claim; None where a row has none."""
    return evidence.verdicts(number, scale)[claim.name].get(metric)


def row_cells(number: int, scale: str, row: Row) -> list[str]:
    """A row of a table's page."""
    mine = evidence.recipe_runs(scale, [row.recipe])
    return [
        row.title,
        METHODS[row.recipe.method].title,
        str(row.recipe.num_negatives),
        published.shown(number, row.name),
        *(spread(list(mine[m].dropna())) if len(mine) else "not run" for m in metric_titles()),
        duration(mine["seconds"].median()) if len(mine) else "–",
    ]


def table_page(number: int, scale: str) -> str:
    """A table at a scale: cells, then claims."""
    found = table(number, scale, evidence_base(scale))
    header = ["loss", "method", "K", "published (ImageNet)", *metric_titles().values(), "a run"]
    cells = markdown.table(header, [row_cells(number, scale, row) for row in found.rows])
    claims = markdown.table(
        ["claim", *(f"{metric_titles()[metric]}: verdict" for metric in JUDGED)],
        [
            [claim.statement, *(short(judge_claim(number, scale, claim, m)) for m in JUDGED)]
            for claim in found.claims
        ],
    )
    return f"### Scale {scale}\n\n{cells}\n\n{claims}"


def has_records(number: int, scale: str) -> bool:
    """Whether three of four rows of a table, or more, have a committed record at a scale."""
    rows = {row.name for row in table(number, scale, evidence_base(scale)).rows}
    return len(rows & set(evidence.table_runs(number, scale)["row"])) >= 0.75 * len(rows)


def all_tables() -> str:
    """Every table at every scale where most of its rows have a record."""
    pages = []
    for number in TABLES:
        pages.append(f"## Table {number}: {table(number, GLYPHS).title}")
        pages += [
            table_page(number, scale) for scale in judged_scales() if has_records(number, scale)
        ]
    return "\n\n".join(pages)


def prices() -> str:
    """Runs and time of each table at scale glyphs, one seed."""
    second = evidence.runs(GLYPHS)["seconds"].median()
    lines, seen = [], set[str]()
    for number in TABLES:
        found = table(number, GLYPHS)
        own = {row.recipe.digest() for row in found.rows}
        lines.append(
            [
                f"`pytest reproductions/ -k table{number}`",
                f"{found.title}: {len(own)} runs, {len(own & seen)} shared with earlier tables",
                duration(len(own - seen) * second),
            ]
        )
        seen |= own
    return markdown.table(["command", "what", f"one thread, {duration(second)} a run"], lines)


def first_table(paper: str) -> int:
    """Number of the first table with a claim that tests a claim of the paper."""
    return next(n for n in TABLES if any(c.paper == paper for c in table(n, GLYPHS).claims))


def paper_verdicts(paper: str) -> list[tuple[Claim, Verdict]]:
    """Claims of that table at scale glyphs that test it, with their verdicts."""
    number = first_table(paper)
    claims = [c for c in table(number, GLYPHS).claims if c.paper == paper]
    pairs = [(claim, judge_claim(number, GLYPHS, claim)) for claim in claims]
    return [(claim, verdict) for claim, verdict in pairs if verdict]


def by_aspect(paper: str) -> str:
    """`falls without the rule: supported at K = 4, 16, 64; ...`."""
    counts: dict[str, dict[str, list[str]]] = {}
    for claim, verdict in paper_verdicts(paper):
        at = counts.setdefault(claim.aspect, {}).setdefault(verdict.status, [])
        at.append(str(claim.num_negatives))
    return "; ".join(
        f"{aspect}: " + ", ".join(f"**{s}** at K = {', '.join(k)}" for s, k in found.items())
        for aspect, found in counts.items()
    )


FEW = 16  # negatives of the paper's headline


def few(aspect: str) -> Verdict:
    """The verdict on an aspect of C1 with few negatives."""
    found = [v for c, v in paper_verdicts("C1") if (c.aspect, c.num_negatives) == (aspect, FEW)]
    return found[0]


def answer() -> str:
    """The answer in one sentence, with intervals and n."""
    level, better, falls = (few(ASPECTS[name]) for name in ("level", "better", "falls"))
    word = "Partly, here." if better.status == "supported" else "Yes, here they do."
    word = f"No, {FEW} are enough here." if level.status == "supported" else word
    return (
        f"**{word}** With {FEW} negatives instead of {SCALES[GLYPHS].base.num_negatives} InfoNCE "
        f"loses {falls.mean:.1f} points [{falls.low:.1f}, {falls.high:.1f}]; EqCo with {FEW} "
        f"recovers {better.mean:.1f} [{better.low:.1f}, {better.high:.1f}] of them and remains "
        f"{-level.mean:.1f} [{-level.high:.1f}, {-level.low:.1f}] below EqCo with all negatives "
        f"(n = {level.n} seeds; SiMo, linear probe, scale `{GLYPHS}`; brackets are 90 % intervals)."
    )


def summary() -> str:
    """Accuracy of both losses with few and with all negatives, at each scale."""
    rows = [row for row in table(first_table("C1"), GLYPHS).rows if row.recipe.num_negatives >= FEW]
    most = max(row.recipe.num_negatives for row in rows)
    rows = [row for row in rows if row.recipe.num_negatives in (FEW, most)]
    lines = []
    for row in rows:
        cells = [
            spread(list(evidence.row_values(s, row_at(s, row)).values())) for s in judged_scales()
        ]
        lines.append([row.title, str(row.recipe.num_negatives), *cells])
    return markdown.table(["loss", "K", *(f"`{scale}`" for scale in judged_scales())], lines)


def row_at(scale: str, row: Row) -> Row:
    """The row of the same name at another scale, in the table of C1."""
    return table(first_table("C1"), scale, evidence_base(scale)).row(row.name)


def paper_claims() -> str:
    """The claims of the paper, C1 to C5, each with the result here."""
    (_, with_moco), *_ = paper_verdicts("C5")
    lines = [
        ["C1", "accuracy hardly depends on K with EqCo, and falls without it",
         f"SiMo: {by_aspect('C1')}"],
        ["C2", "the mutual-information bound stays steady in K",
         "**false** as a bound for alpha > K; its value is level from K of a few dozen on"],
        ["C3", "the gradient magnitude stays steady in K",
         "**holds** for the mean; its noise falls as 1/√K with EqCo too"],
        ["C4", f"{FEW} negatives are enough", f"{points(few(ASPECTS['level']))} against all: "
         f"**{few(ASPECTS['level']).status}**"],
        ["C5", f"SiMo with {FEW} is comparable to MoCo v2 with its whole queue", short(with_moco)],
    ]  # fmt: skip
    return markdown.table(["", "claim of the paper", f"here (scale `{GLYPHS}`)"], lines)


PAGES: dict[Path, dict[str, Callable[[], str]]] = {
    ROOT / "README.md": {"answer": answer, "summary": summary, "claims": paper_claims},
    ROOT / "docs" / "tables.md": {"tables": all_tables},
    ROOT / "docs" / "commands.md": {"prices": prices},
    ROOT / "docs" / "sweep.md": sweep_page.SECTIONS,
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

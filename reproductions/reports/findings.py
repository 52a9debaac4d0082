"""The table of every verdict, for the top of FINDINGS.md."""

from __future__ import annotations

from eqco.methods import METHODS
from reproductions.experiments import missing
from reproductions.reports import markdown
from reproductions.reports.claims_table import short_p
from reproductions.reports.markdown import points, told
from reproductions.results import records
from reproductions.results.records import evidence_base, metric_titles, shown_scales
from reproductions.statistics.verdicts import Verdict
from reproductions.tables import TABLES, table
from reproductions.tables.base import Claim
from reproductions.tables.claims import JUDGED

HEADER = ("table", "claim", "method", "scale", "metric", "n", "points [90 %]", "p Holm", "verdict")


def methods_of(claim: Claim) -> str:
    """`SiMo`, or `SiMo, MoCo v2` where the rows differ in it."""
    names = dict.fromkeys(row.recipe.method for row in (claim.left, claim.right))
    return ", ".join(METHODS[name].title for name in names)


def outcome(verdict: Verdict) -> list[str]:
    """Seeds, points with their interval, the corrected p-value, and the verdict."""
    measured = points(verdict) if verdict.n > 1 else f"{verdict.mean:+.2f}"
    return [str(verdict.n), measured, short_p(verdict.p_holm), told(verdict)]


def claim_lines(number: int, scale: str) -> list[list[str]]:
    """A line for each claim of a table and each metric; none where a claim has no runs."""
    lines, found = [], records.verdicts(number, scale)
    for claim in table(number, scale, evidence_base(scale)).claims:
        for metric in (name for name in JUDGED if name in found[claim.name]):
            about = [claim.statement, methods_of(claim), scale, metric_titles()[metric]]
            lines.append([str(number), *about, *outcome(found[claim.name][metric])])
    return lines


def every_claim() -> str:
    """Claim x method x scale x metric with n, interval, p and verdict; then what was not run."""
    places = [(number, scale) for scale in shown_scales() for number in TABLES]
    lines = [line for place in places for line in claim_lines(*place)]
    left = [(number, missing.table_not_run(number, scale)) for number, scale in places]
    open_ones = "\n".join(f"- Table {number}: {text}." for number, text in left if text)
    return "\n\n".join(filter(None, [markdown.table(HEADER, lines) if lines else "", open_ones]))

"""The sections of README.md: the answer, the accuracies, and the claims of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from reproductions.experiments import missing
from reproductions.formats import markdown_table, spread
from reproductions.results import records
from reproductions.results.records import evidence_base, judge_claim, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import LEAST_SEEDS, STATUSES, Verdict
from reproductions.statistics.wording import NOT_RUN, points, short
from reproductions.tables import TABLES, table
from reproductions.tables.base import ASPECTS, Claim, Row
from reproductions.tables.claims import HEADLINE_K, PAPER

GLYPHS = "glyphs"
SUPPORTED, CONTRADICTED, WITHIN = STATUSES


def first_table(paper: str) -> int:
    """Number of the first table with a claim that tests a claim of the paper."""
    return next(n for n in TABLES if any(c.paper == paper for c in table(n, GLYPHS).claims))


def paper_verdicts(paper: str) -> list[tuple[Claim, Verdict]]:
    """Claims of that table at scale glyphs that test it and were run, with their verdicts."""
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
    parts = [
        f"{aspect}: " + ", ".join(f"**{s}** at K = {', '.join(k)}" for s, k in found.items())
        for aspect, found in counts.items()
    ]
    left = missing.table_not_run(first_table(paper), GLYPHS)
    return "; ".join([*parts, *([left] if left else [])]) or table_not_run(paper)


def table_not_run(paper: str) -> str:
    """What is missing of the first table with a claim that tests a claim of the paper."""
    left = missing.table_not_run(first_table(paper), GLYPHS)
    return left or f"fewer than {LEAST_SEEDS} seeds"


def few(found: Sequence[tuple[Claim, Verdict]], aspect: str) -> Verdict | None:
    """The verdict on an aspect of C1 with few negatives; None below three seeds."""
    about = [v for c, v in found if (c.aspect, c.num_negatives) == (ASPECTS[aspect], HEADLINE_K)]
    return next((verdict for verdict in about if verdict.n >= LEAST_SEEDS), None)


def in_a_word(level: str, better: str, falls: str) -> str:
    """Are many negatives needed? By the verdicts on the three aspects of C1 with few of them."""
    if level == SUPPORTED:
        return f"No, {HEADLINE_K} are enough here."
    if better == SUPPORTED:
        return "Partly, here."
    gains_nothing = better in (WITHIN, CONTRADICTED)
    return "Yes, here they do." if falls == SUPPORTED and gains_nothing else "Undecided, here."


def answer(found: Sequence[tuple[Claim, Verdict]] | None = None, scale: str = GLYPHS) -> str:
    """The answer in one sentence, with intervals and n.

    Args:
        found: claims of the first table that tests C1, with their verdicts; None for those of the
            committed records.
        scale: of the verdicts.
    """
    found = paper_verdicts("C1") if found is None else found
    level, better, falls = (few(found, aspect) for aspect in ("level", "better", "falls"))
    if not (level and better and falls):
        command = f"{missing.table_command(first_table('C1'), scale)} --seeds {LEAST_SEEDS}"
        cost = missing.cost(scale, [row.recipe for row in table(first_table("C1"), scale).rows])
        return f"**No answer yet.** Too few records under these numerics: `{command}` ({cost})."
    word = in_a_word(level.status, better.status, falls.status)
    return (
        f"**{word}** With {HEADLINE_K} negatives instead of {SCALES[scale].base.num_negatives} "
        f"InfoNCE loses {falls.mean:.1f} points [{falls.low:.1f}, {falls.high:.1f}]; EqCo with "
        f"{HEADLINE_K} recovers {better.mean:.1f} [{better.low:.1f}, {better.high:.1f}] of them "
        f"and remains {-level.mean:.1f} [{-level.high:.1f}, {-level.low:.1f}] below EqCo with all "
        f"negatives (n = {level.n} seeds; SiMo, linear probe, scale `{scale}`; brackets are 90 % "
        "intervals)."
    )


def summary() -> str:
    """Accuracy of both losses with few and with all negatives, at each scale."""
    every = table(first_table("C1"), GLYPHS).rows
    most = max(row.recipe.num_negatives for row in every)
    rows = [row for row in every if row.recipe.num_negatives in (HEADLINE_K, most)]
    lines = []
    for row in rows:
        found = [list(records.row_values(s, row_at(s, row)).values()) for s in shown_scales()]
        cells = [spread(values) if values else NOT_RUN for values in found]
        lines.append([row.title, str(row.recipe.num_negatives), *cells])
    return markdown_table(["loss", "K", *(f"`{scale}`" for scale in shown_scales())], lines)


def row_at(scale: str, row: Row) -> Row:
    """The row of the same name at another scale, in the table of C1."""
    return table(first_table("C1"), scale, evidence_base(scale)).row(row.name)


def paper_claims() -> str:
    """The claims of the paper, C1 to C5, each with the result here."""
    level = few(paper_verdicts("C1"), "level")
    enough = f"{points(level)} against all: **{level.status}**" if level else table_not_run("C1")
    with_moco = [short(verdict) for _, verdict in paper_verdicts("C5")]
    found = {
        "C1": f"SiMo: {by_aspect('C1')}",
        "C2": "**false** as a bound for alpha > K; its value is level from K of a few dozen on",
        "C3": "**holds** for the mean; the noise still grows as K shrinks",
        "C4": enough,
        "C5": "; ".join(with_moco) or table_not_run("C5"),
    }
    lines = [[name, claim, found[name]] for name, claim in PAPER.items()]
    return markdown_table(["", "claim of the paper", f"here (scale `{GLYPHS}`)"], lines)

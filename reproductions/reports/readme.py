"""The sections of README.md: the answer, the accuracies, and the claims of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from reproductions.experiments import missing
from reproductions.results import records
from reproductions.results.bound_and_gradient import worst
from reproductions.results.records import evidence_base, judge_claim, shown_scales
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import FAILS, HOLDS, LEAST_SEEDS, OPEN, Verdict
from reproductions.statistics.wording import NOT_RUN, points, short
from reproductions.tables import TABLES, table
from reproductions.tables.base import ASPECTS, Claim, Row
from reproductions.tables.claims import HEADLINE_K, PAPER
from reproductions.tables.formats import markdown_table, spread

GLYPHS = "glyphs"


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
    """`EqCo beats InfoNCE at K: **holds** at K = 4, 16; **open** at K = 64; ...`."""
    counts: dict[str, dict[str, list[str]]] = {}
    for claim, verdict in paper_verdicts(paper):
        at = counts.setdefault(claim.aspect, {}).setdefault(verdict.status, [])
        at.append(str(claim.num_negatives))
    parts = [
        f"{ASPECTS[aspect]}: " + ", ".join(f"**{s}** at K = {', '.join(k)}" for s, k in at.items())
        for aspect, at in counts.items()
    ]
    left = missing.table_not_run(first_table(paper), GLYPHS)
    return "; ".join([*parts, *([left] if left else [])]) or table_not_run(paper)


def table_not_run(paper: str) -> str:
    """What is missing of the first table with a claim that tests a claim of the paper."""
    left = missing.table_not_run(first_table(paper), GLYPHS)
    return left or f"fewer than {LEAST_SEEDS} seeds"


def few(judged: Sequence[tuple[Claim, Verdict]], aspect: str) -> Verdict | None:
    """The verdict on an aspect of C1 with few negatives; None below three seeds."""
    about = [v for c, v in judged if (c.aspect, c.num_negatives) == (aspect, HEADLINE_K)]
    return next((verdict for verdict in about if verdict.n >= LEAST_SEEDS), None)


ENOUGH = {HOLDS: "are enough", FAILS: "are not enough", OPEN: "may be enough or not"}
RECOVERED = {
    HOLDS: "recovers most of what InfoNCE loses",
    FAILS: "recovers less than half of what InfoNCE loses",
    OPEN: "recovers a part of what InfoNCE loses, more or less than half",
}


def answer(judged: Sequence[tuple[Claim, Verdict]] | None = None, scale: str = GLYPHS) -> str:
    """The answer in two sentences, with data, learning rate, interval and n.

    Args:
        judged: claims of the first table that tests C1, with their verdicts; None for those of the
            committed records.
        scale: of the verdicts.
    """
    judged = paper_verdicts("C1") if judged is None else judged
    level, better, falls, half = (few(judged, a) for a in ("level", "better", "falls", "recovers"))
    if not (level and better and falls and half):
        command = f"{missing.table_command(first_table('C1'), scale)} --seeds {LEAST_SEEDS}"
        cost = missing.cost(scale, [row.recipe for row in table(first_table("C1"), scale).rows])
        return f"**No answer yet.** There are too few records: `{command}` ({cost})."
    base = SCALES[scale].base
    enough = OPEN if level.passed_by_infonce else level.status
    return (
        f"**On `{scale}` at learning rate {base.learning_rate:g}, {HEADLINE_K} negatives "
        f"{ENOUGH[enough]}: EqCo {RECOVERED[half.status]}.** With {HEADLINE_K} of "
        f"{base.num_negatives} negatives InfoNCE loses {falls.mean:.1f} points of accuracy, EqCo "
        f"gives {better.mean:.1f} back; {-level.mean:.1f} [{-level.high:.1f}, {-level.low:.1f}] "
        f"remain (SiMo, linear probe, 95 % interval, n = {level.n})."
    )


def summary() -> str:
    """Accuracy of both losses with few and with all negatives, at each scale."""
    rows = [
        row
        for row in table(first_table("C1"), GLYPHS).rows
        if row.recipe.num_negatives >= HEADLINE_K
    ]
    most = max(row.recipe.num_negatives for row in rows)
    rows = [row for row in rows if row.recipe.num_negatives in (HEADLINE_K, most)]
    lines = []
    for row in rows:
        found = [list(records.row_values(s, row_at(s, row)).values()) for s in shown_scales()]
        cells = [spread(values) if values else NOT_RUN for values in found]
        lines.append([row.title, str(row.recipe.num_negatives), *cells])
    return markdown_table(["loss", "K", *(f"`{scale}`" for scale in shown_scales())], lines)


def row_at(scale: str, row: Row) -> Row:
    """The row of the same name at another scale, in the table of C1."""
    return table(first_table("C1"), scale, evidence_base(scale)).row(row.name)


def level_in_k(name: str, unit: str) -> str:
    """How far the bound or the gradient varies with K, over all methods, rates and data sets."""
    eqco, plain = (worst(shown_scales(), name, loss) for loss in ("eqco", "infonce"))
    return f"varies with K by {eqco:.2f}{unit} at most, with InfoNCE by up to {plain:.2f}"


def paper_claims() -> str:
    """The claims of the paper, C1 to C5, each with the result here."""
    level = few(paper_verdicts("C1"), "level")
    enough = f"{points(level)} against all: **{level.status}**" if level else table_not_run("C1")
    with_moco = [short(verdict) for _, verdict in paper_verdicts("C5")]
    found = {
        "C1": f"SiMo: {by_aspect('C1')}",
        "C2": f"**holds** for its value, which {level_in_k('bound', ' nats')}; it is no bound "
        "where alpha > K",
        "C3": f"**holds** for the mean: 1 − π₀ {level_in_k('gradient', '')}; the noise still "
        "grows as K shrinks",
        "C4": enough,
        "C5": "; ".join(with_moco) or table_not_run("C5"),
    }
    lines = [[name, claim, found[name]] for name, claim in PAPER.items()]
    return markdown_table(["", "claim of the paper", f"here (`{GLYPHS}`)"], lines)

"""The sections of README.md: the answer, the accuracies, and the claims of the paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean

from reproductions.experiments import missing
from reproductions.experiments.grid import SHARES
from reproductions.experiments.planned import EXPERIMENTS, PAPER_RATE
from reproductions.reports.log_pages import has_ended, log_page, planned_values, verdicts
from reproductions.results.bound_and_gradient import worst
from reproductions.results.evidence import Evidence, committed, shown_scales
from reproductions.results.shares import share_at
from reproductions.scales import SCALES
from reproductions.statistics.verdicts import FAILS, HOLDS, LEAST_SEEDS, OPEN, Verdict
from reproductions.statistics.wording import NOT_RUN
from reproductions.tables import table
from reproductions.tables.base import Claim
from reproductions.tables.claims import HEADLINE_K, JUDGED, PAPER, PRIMARY, SECOND_METRIC
from reproductions.tables.formats import markdown_table, spread

GLYPHS = "glyphs"
TABLE_OF = {"C1": 1, "C5": 3}  # the first table that tests a claim of the paper


def paper_verdicts(
    paper: str, evidence: Evidence | None = None, metric: str = PRIMARY
) -> list[tuple[Claim, Verdict]]:
    """Claims of a table that test it and were run, with their verdicts; of glyphs by default."""
    evidence, number = evidence or committed(GLYPHS), TABLE_OF[paper]
    claims = [claim for claim in evidence.tables[number].claims if claim.paper == paper]
    pairs = [(claim, evidence.verdicts[number][claim.name].get(metric)) for claim in claims]
    return [(claim, verdict) for claim, verdict in pairs if verdict]


def table_not_run(paper: str) -> str:
    """What is missing of the first table with a claim that tests a claim of the paper."""
    sentence = missing.table_not_run(TABLE_OF[paper], GLYPHS)
    return sentence or f"fewer than {LEAST_SEEDS} seeds"


def few(judged: Sequence[tuple[Claim, Verdict]], aspect: str) -> Verdict | None:
    """The verdict on an aspect of C1 with few negatives; None below three seeds."""
    verdicts = [v for c, v in judged if (c.aspect, c.num_negatives) == (aspect, HEADLINE_K)]
    return next((verdict for verdict in verdicts if verdict.n >= LEAST_SEEDS), None)


ENOUGH = {HOLDS: "are enough", FAILS: "are not enough", OPEN: "may be enough or not"}
RECOVERED = {
    HOLDS: "recovers most of what InfoNCE loses",
    FAILS: "recovers less than half of what InfoNCE loses",
    OPEN: "recovers a part of what InfoNCE loses, more or less than half",
}


def answer(evidence: Evidence | None = None) -> str:
    """The answer in a few sentences, with data, learning rate, interval and n.

    Args:
        evidence: with a verdict on C1, else the sentence says what makes one; glyphs by default.
    """
    evidence = evidence or committed(GLYPHS)
    scale, judged = evidence.scale, paper_verdicts("C1", evidence)
    by_knn = few(paper_verdicts("C1", evidence, SECOND_METRIC), "better")
    level, better, falls, half = (few(judged, a) for a in ("level", "better", "falls", "recovers"))
    if not (level and better and falls and half):
        command = f"{missing.table_command(TABLE_OF['C1'], scale)} --seeds {LEAST_SEEDS}"
        cost = missing.cost(scale, [row.recipe for row in table(TABLE_OF["C1"], scale).rows])
        return f"**No answer yet.** There are too few records: `{command}` ({cost})."
    base = SCALES[scale].base
    enough = OPEN if level.passed_by_infonce else level.status
    also = ""
    if by_knn:
        also = f" By kNN it wins {by_knn.mean:.1f} [{by_knn.low:.1f}, {by_knn.high:.1f}]."
    return (
        f"**With SiMo on `{scale}` at learning rate {base.learning_rate:g}, {HEADLINE_K} negatives "
        f"{ENOUGH[enough]}: EqCo {RECOVERED[half.status]}** (last panel). With {HEADLINE_K} "
        f"instead of all {base.num_negatives} negatives, InfoNCE loses {falls.mean:.1f} points of "
        f"accuracy. EqCo wins {better.mean:.1f} of them back [{better.low:.1f}, {better.high:.1f}] "
        f"(simultaneous 95 % interval, {level.n} seeds).{also}"
    )


def rate_sentence() -> str:
    """The share recovered at the learning rate of the tables, and with the paper's settings."""
    usual, paper = SHARES["simo"], SHARES["simo-paper"]
    rate, (low,) = SCALES[GLYPHS].base.learning_rate, paper.rates
    shares = share_at(GLYPHS, usual, rate), share_at(GLYPHS, paper, low)
    if not all(shares):
        return ""
    high_rate, settings = (f"{100 * share.value:.0f} %" for share in shares if share)
    epochs, half = paper.changes["epochs"], verdicts("paper-settings")[0]
    more = "docs/results.md#does-it-depend-on-the-learning-rate"
    return (
        f"**It depends on the [learning rate]({more}).** At {rate:g} EqCo recovers {high_rate} of "
        f"the lost accuracy. With {paper.training}, but {epochs} epochs, it recovers {settings} at "
        f"{low:g}, where every row is less accurate than at a larger rate. At least half "
        f"**{half.status}** over the {half.n} seeds of a "
        f"[planned experiment](log/{log_page('paper-settings').name})."
    )


def against_all(name: str) -> tuple[str, str]:
    """Points of InfoNCE and of EqCo with 16 negatives against InfoNCE with all, in words."""
    rows = planned_values(EXPERIMENTS[name], PRIMARY)
    full, *few = (mean(rows[row].values()) for row in ("InfoNCE 255", "InfoNCE 16", "EqCo 16"))
    infonce, eqco = (f"{abs(x - full):.1f} points {'below' if x < full else 'above'}" for x in few)
    return infonce, eqco


def photographs_sentence() -> str:
    """What CIFAR-10 says with a learning rate for each row; "" until all planned runs are there."""
    name = "cifar10-confirmation"
    if not has_ended(name):
        return ""
    (half, remains), (half_knn, remains_knn) = (verdicts(name, metric)[:2] for metric in JUDGED)
    infonce, eqco = against_all(name)
    epochs = SCALES[EXPERIMENTS[name].scale].base.epochs
    more = "docs/results.md#and-on-real-photographs"
    return (
        f"**On [photographs]({more})**, CIFAR-10, each row has its own learning rate and {epochs} "
        f"epochs. InfoNCE with {HEADLINE_K} negatives is {infonce} InfoNCE with all, and EqCo with "
        f"{HEADLINE_K} is {eqco} it. Two [planned statements](log/{log_page(name).name}), {half.n} "
        f"seeds: EqCo lies above the middle of these two rows, **{half.status}** (by kNN "
        f"{half_knn.status}); EqCo is at most half a point below InfoNCE with all, "
        f"**{remains.status}** (by kNN {remains_knn.status})."
        f"{paper_rate_sentence()}"
    )


def paper_rate_sentence() -> str:
    """What CIFAR-10 says at the paper's learning rate; "" until all planned runs are there."""
    name = "cifar10-paper-rate"
    if not has_ended(name):
        return ""
    half, half_knn = (verdicts(name, metric)[0] for metric in JUDGED)
    infonce, eqco = against_all(name)
    return (
        f" At the paper's learning rate, {PAPER_RATE:g}, InfoNCE with {HEADLINE_K} is {infonce} "
        f"InfoNCE with all. EqCo is {eqco} it. That it recovers at least half is "
        f"**{half.status}** ([{half.n} seeds](log/{log_page(name).name}); by kNN "
        f"{half_knn.status})."
    )


def answers() -> list[str]:
    """The paragraphs of the front page that answer its question from the committed records."""
    return [words for words in (answer(), rate_sentence(), photographs_sentence()) if words]


def summary() -> str:
    """Accuracy of both losses at each K and at each scale."""
    number, scales = TABLE_OF["C1"], shown_scales()
    rows = table(number, GLYPHS).rows
    lines = []
    for k in dict.fromkeys(row.recipe.num_negatives for row in rows):
        accuracies = [
            committed(scale).values(row).values()
            for scale in scales
            for row in committed(scale).tables[number].rows
            if row.recipe.num_negatives == k
        ]
        lines.append([str(k), *(spread(values) if values else NOT_RUN for values in accuracies)])
    losses = dict.fromkeys(row.title for row in rows)
    header = ["K", *(f"{loss}, `{scale}`" for scale in scales for loss in losses)]
    return markdown_table(header, lines)


def level_in_k(name: str, before: str, after: str) -> str:
    """How far the bound or the gradient varies with K, over all methods, rates and data sets."""
    eqco, plain = (worst(shown_scales(), name, loss) for loss in ("eqco", "infonce"))
    if math.isnan(eqco + plain):
        return table_not_run("C1")
    unit = " nats" if name == "bound" else ""
    return f"{before} varies by {eqco:.2f}{unit} at most, InfoNCE's by {plain:.2f}; {after}"


def outcome(verdict: Verdict | None, paper: str) -> str:
    """A verdict in a word; else what is missing."""
    return f"**{verdict.status}**" if verdict else table_not_run(paper)


def paper_claims() -> str:
    """The claims of the paper, C1 to C5, each with the result here in a line."""
    judged = paper_verdicts("C1")
    level = {claim.num_negatives: verdict for claim, verdict in judged if claim.aspect == "level"}
    by_k = ", ".join(f"K = {k}: {outcome(verdict, 'C1')}" for k, verdict in sorted(level.items()))
    with_moco = [verdict for _, verdict in paper_verdicts("C5")]
    results = {
        "C1": by_k or table_not_run("C1"),
        "C2": level_in_k(
            "bound", "its value is steady: it", "it is no bound where alpha exceeds K, as here"
        ),
        "C3": level_in_k(
            "gradient",
            "the mean is steady: 1 − π₀ (the softmax weight of the negatives)",
            "its noise grows as K shrinks",
        ),
        "C4": f"{outcome(few(judged, 'level'), 'C1')} at this learning rate",
        "C5": outcome(with_moco[0] if with_moco else None, "C5"),
    }
    lines = [[name, claim, results[name]] for name, claim in PAPER.items()]
    rate = SCALES[GLYPHS].base.learning_rate
    here = f"here: SiMo, `{GLYPHS}`, learning rate {rate:g} (C2, C3: all records from K = 4)"
    header = ["", "claim of the paper", here]
    return markdown_table(header, lines)

"""The tables of docs/results.md, a section each, and the numbers in its sentences.

A number in a sentence stands between `<!--= what -->` and `<!--/-->`, not at the start of a line,
where a comment would begin a block; `VALUES` has what it may be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from eqco.methods import METHODS
from reproductions.experiments.grid import SHARES
from reproductions.reports.log_pages import comparisons, has_ended, state, verdicts
from reproductions.results.bound_and_gradient import worst
from reproductions.results.evidence import committed, shown_scales
from reproductions.results.shares import share_at
from reproductions.statistics.verdicts import Verdict
from reproductions.statistics.wording import INTERVAL, NOT_RUN, count, points, status
from reproductions.tables.claims import HEADLINE_K, PRIMARY
from reproductions.tables.formats import markdown_table

GLYPHS = "glyphs"
NUMBER = re.compile(r"<!--= (?P<what>[^>]+) -->(?P<now>.*?)<!--/-->", re.DOTALL)
METHODS_OF_TABLES = {"SiMo": 1, "MoCo v2": 2, "SimCLR": 2}  # where each is swept across K


def verdict_on(scale: str, number: int, claim: str) -> Verdict | None:
    """The verdict on a claim of a table by the linear probe; None without a run of it."""
    return committed(scale).verdicts[number][claim].get(PRIMARY)


def claim_value(scale: str, number: str, claim: str, expected: str = "") -> str:
    """Points of a claim without sign, such as `1.6`.

    Raises:
        ValueError: the sentence rests on another verdict than the records give.
    """
    verdict = verdict_on(scale, int(number), claim)
    return in_sentence(verdict, expected, f"{claim}, table {number}, scale {scale}")


def planned_value(experiment: str, place: str, expected: str = "") -> str:
    """Points of a comparison of a planned experiment, 0 the primary one, as of a claim.

    Raises:
        ValueError: as of a claim.
    """
    verdict = verdicts(experiment)[int(place)]
    done = verdict if verdict.n == verdict.planned else None
    return in_sentence(done, expected, f"comparison {place} of {experiment}")


def in_sentence(verdict: Verdict | None, expected: str, what: str) -> str:
    """The points of a verdict, without sign where a word says the direction."""
    if verdict is None:
        return NOT_RUN
    if expected and verdict.status != expected.replace("-", " "):
        raise ValueError(
            f"a sentence rests on “{expected}” of {what}; the records say “{verdict.status}”: "
            "write the sentence anew"
        )
    return f"{abs(verdict.mean) if expected else verdict.mean:.1f}"


def share_value(scale: str, name: str, rate: str) -> str:
    """The share that EqCo recovers at a learning rate in one of `SHARES`, in percent."""
    share = share_at(scale, SHARES[name], float(rate))
    return f"{100 * share.value:.0f} %" if share else NOT_RUN


def range_value(name: str, loss: str) -> str:
    """How far "bound" or "gradient" varies with K at most, over all records."""
    return f"{worst(shown_scales(), name, loss):.2f}"


VALUES: dict[str, Callable[..., str]] = {
    "claim": claim_value,
    "planned": planned_value,
    "share": share_value,
    "range": range_value,
}


def with_numbers(text: str) -> str:
    """A text whose sentences have the numbers of the records."""

    def filled(found: re.Match[str]) -> str:
        kind, *words = found["what"].split()
        return f"<!--= {found['what']} -->{VALUES[kind](*words)}<!--/-->"

    return NUMBER.sub(filled, text)


def across_k() -> str:
    """What 16 negatives cost, what EqCo gives back and what remains, by method and data."""
    header = ["method, data", "InfoNCE loses", "EqCo gives back", "remains", "n", "half recovered?"]
    lines = []
    for scale in shown_scales():
        for method, number in METHODS_OF_TABLES.items():
            made = committed(scale).tables[number]
            by = {
                claim.aspect: verdict_on(scale, number, claim.name)
                for claim in made.claims
                if claim.num_negatives == HEADLINE_K and claim.methods == method
            }
            falls, better, level, half = (by[n] for n in ("falls", "better", "level", "recovers"))
            if not (falls and better and level and half):
                continue
            rest = Verdict(level.status, -level.mean, level.sd, -level.high, -level.low, level.n, 0)
            cells = [points(each, 1) for each in (falls, better, rest)]
            lines.append([f"{method}, `{scale}`", *cells, str(half.n), f"**{status(half)}**"])
    return markdown_table(header, lines) if lines else "Not run."


def shares() -> str:
    """The share recovered at each learning rate, by method, data and training."""
    rates = sorted({rate for series in SHARES.values() for rate in series.rates})
    lines = []
    for scale in shown_scales():
        for series in SHARES.values():
            found = [share_at(scale, series, rate) for rate in rates]
            if any(found):
                cells = [f"{each.value:.2f} ({each.n})" if each else "–" for each in found]
                lines.append([series.named(f"{METHODS[series.method].title}, `{scale}`"), *cells])
    header = ["learning rate", *(f"{rate:g}" for rate in rates)]
    return markdown_table(header, lines) if lines else "Not run."


def claims(*names: tuple[int, str]) -> str:
    """Claims of tables on glyphs with interval and verdict."""
    lines = []
    for number, name in names:
        claim = committed(GLYPHS).tables[number].claim(name)
        verdict = verdict_on(GLYPHS, number, name)
        measured = [points(verdict), count(verdict)] if verdict else ["–", "–"]
        lines.append([claim.statement, *measured, f"**{status(verdict)}**"])
    return markdown_table(["claim", INTERVAL, "seeds", "verdict"], lines)


def planned(name: str) -> str:
    """Comparisons of an experiment when its primary one has all its runs; else how many it has."""
    return comparisons(name) if has_ended(name) else f"So far: {state(name)}."


SECTIONS: dict[str, Callable[[], str]] = {
    "accuracy": across_k,
    "rates": shares,
    "noise": partial(
        claims,
        (7, "eqco-k16-draws4-beats-draws1"),
        (7, "all-beat-k16-draws15"),
        (7, "eqco-k4-draws16-beats-draws1"),
        (7, "all-beat-k4-draws60"),
    ),
    "family": partial(
        claims,
        (4, "alpha256-beats-alpha16-k255"),
        (4, "alpha256-beats-alpha16-k16"),
        (4, "alpha65536-equals-alpha256-k16"),
        (5, "dcl-beats-infonce-k16"),
        (5, "dual_temperature-beats-infonce-k16"),
        (6, "eqco-k16-independent-beats-shared"),
    ),
    "temperature": partial(
        claims, *((9, f"eqco-k{HEADLINE_K}-drops-t{t}") for t in (0.1, 0.2, 0.5))
    ),
    "schedule": partial(
        claims,
        *((10, f"eqco-k16-drops-epochs{epochs}") for epochs in (10, 90)),
        (10, "simo-hard_infonce-equals-eqco-k16"),
        (10, "simo-sogclr-equals-eqco-k16"),
        (10, "synco-infonce-equals-eqco-k16"),
    ),
    "photographs": partial(planned, "cifar10-confirmation"),
}

"""The table of claims in the terminal: whose verdicts, of how many seeds, what was corrected."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from reproductions.formats import in_terminal
from reproductions.reports.terminal import Judged, claim_grid, counts, heading
from reproductions.statistics.verdicts import PValues, Verdict
from reproductions.statistics.wording import footnote, points, short_p
from reproductions.tables.claims import JUDGED, Verdicts


def verdicts(status: str, uncorrected: str = "", n: int = 5) -> Verdicts:
    """The same verdict on every metric."""
    p, holm = PValues(0.004, 0.5, 0.5), PValues(0.032, 1.0, 1.0)
    one = Verdict(status, -1.2, 0.6, n, -1.75, -0.7, 4, p, holm, uncorrected or status)
    return dict.fromkeys(JUDGED, one)


def lines(*claims: Judged) -> list[str]:
    """The table of claims at 80 columns."""
    stream = io.StringIO()
    Console(file=stream, width=80, no_color=True).print(in_terminal(claim_grid(claims), "claim"))
    return [line.rstrip() for line in stream.getvalue().splitlines()[2:]]


def test_one_seed_shows_the_verdict_of_the_evidence_alone() -> None:
    claim = Judged("a-beats-b", verdicts("undetermined", n=1), verdicts("supported", n=10))
    (line,) = lines(claim)
    words = " ".join(line.split())
    assert words == "a-beats-b -1.2 [-1.8, -0.7] .004 .032 supported supported"
    assert heading([claim]) == (
        "Claims: verdicts of the committed evidence, n=10; yours need --seeds 3"
    )
    assert counts([claim]) == (
        "claims: 1 supported, 0 contradicted, 0 within a point, 0 undetermined (evidence, n=10)"
    )


def test_three_seeds_show_ones_own_verdict_beside_that_of_the_evidence() -> None:
    claim = Judged("a-beats-b", verdicts("contradicted", n=3), verdicts("supported"))
    first, second = lines(claim)
    assert first.startswith("a-beats-b ")
    assert first.endswith("supported")
    assert second.startswith("  yours, n=3 ")
    assert second.endswith("contradicted")
    assert heading([claim]).endswith("evidence, n=5; yours beneath")
    own, evidence = counts([claim]).split("; ")
    assert own.endswith("1 contradicted, 0 within a point, 0 undetermined (yours, n=3)")
    assert evidence.startswith("1 supported")


@pytest.mark.parametrize("n", [1, 3])
def test_without_evidence_ones_own_verdict_stands_alone(n: int) -> None:
    claim = Judged("a-beats-b", verdicts("undetermined", n=n), {})
    assert lines(claim)[0].startswith("a-beats-b ")
    assert heading([claim]) == f"Claims: verdicts of these records, n={n}"


def test_a_claim_without_any_run_is_not_run() -> None:
    claims = [Judged("a-beats-b", {}, {}), Judged("b-equals-c", {}, verdicts("supported"))]
    assert lines(*claims)[0].split() == ["a-beats-b", "not", "run"]
    assert counts(claims).endswith("; 1 not run")
    assert heading(claims[:1]) == "Claims"


def test_a_claim_with_another_number_of_seeds_says_it() -> None:
    claims = [
        Judged("a", {}, verdicts("supported", n=3)), Judged("b", {}, verdicts("supported", n=5))
    ]  # fmt: skip
    assert [line[:8] for line in lines(*claims)] == ["a (n=3) ", "b (n=5) "]
    assert "n=3 to 5" in heading(claims)


def test_a_verdict_that_the_correction_changed_has_a_mark_which_is_explained() -> None:
    changed = Judged("a", {}, verdicts("undetermined", "supported"))
    assert lines(changed)[0].endswith("undetermined¹ undetermined¹")
    assert footnote(changed.evidence.values()) == "¹ supported without Holm's correction"
    assert footnote(verdicts("supported").values()) == ""


def test_the_widest_verdicts_fit_80_columns_uncut() -> None:
    claims = [
        Judged("infonce-k16-independent-beats-shared", {}, verdicts("within a point", "supported"))
    ]
    text = lines(*claims)
    assert max(map(len, text)) <= 80
    assert "".join(line.split(" ")[0] for line in text) == claims[0].name
    assert "within a point¹ within a point¹" in text[0]
    assert "…" not in "".join(text)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1.0, "1"), (0.999, "1"), (0.5, ".5"), (0.321, ".32"), (0.0496, ".050"), (0.007, ".007"),
        (0.00012, "1e-4"), (1e-12, "≈0"), (0.0, "≈0"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_p_values_have_four_characters_at_most(p: float, text: str) -> None:
    assert short_p(p) == text


def test_p_values_of_any_size_have_four_characters_at_most() -> None:
    assert max(len(short_p(10 ** (-k / 7))) for k in range(100)) <= 4


def test_a_single_seed_has_no_interval() -> None:
    assert points(verdicts("undetermined", n=1)["linear"], 1) == "-1.2"

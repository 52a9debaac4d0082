"""Progress as lines of text."""

from __future__ import annotations

import time

import pytest

from eqco.engine.progress import Log, curve, duration


def test_a_curve_fits_a_terminal_and_falls_with_the_loss() -> None:
    drawn = curve([100.0 - step for step in range(99)])
    assert len(drawn) == 50
    assert sorted(drawn, reverse=True) == list(drawn)
    assert (drawn[0], drawn[-1], curve([2.0, 2.0])) == ("█", "▁", "▁▁")


def test_a_log_says_where_a_run_is_and_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 30.0, 60.0, 90.0, 100.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    log = Log(256)
    for step in (10, 40, 70, 100):
        log("training", step, 100, 5.0)
    log("probing", 1, 9, 4.0)
    assert capsys.readouterr().out.splitlines() == [
        "training from step 10 of 100",
        "training 70/100  loss 5.000  256 images/s  30 s left",
        "training 100/100  loss 5.000  256 images/s  0 s left",
        "probing from step 1 of 9",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119.4, "119 s"),
        (121, "2 min"),
        (7100, "118 min"),
        (9000, "2.5 h"),
        (4.8e6, "56 days"),
        (1.3e8, "4 years"),
    ],
)
def test_durations_have_the_unit_that_fits(seconds: float, text: str) -> None:
    assert duration(seconds) == text

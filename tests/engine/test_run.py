"""A run from recipe to record, and its progress."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eqco.artifacts.record import Record
from eqco.config import Machine
from eqco.engine.progress import Log, curve, duration
from eqco.engine.run import run, train_and_probe, untrained
from reproductions.scales import SCALES
from tests.engine.test_pretrain import RECIPE
from tests.faults.damage import machine_in


def flushes() -> bool:
    """Whether torch takes tiny numbers for zero."""
    return not (torch.tensor(1e-38) * 0.01).item()


def test_a_run_leaves_the_settings_of_torch_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, flushed = torch.get_num_threads(), flushes()
    within: list[bool] = []

    def look(*given: Any) -> Record | None:
        within.append(torch.backends.cudnn.benchmark)
        return train_and_probe(*given)

    monkeypatch.setattr("eqco.engine.run.train_and_probe", look)
    torch.set_num_threads(2)
    try:
        for flush in (False, True):
            torch.set_flush_denormal(flush)
            assert run(untrained(RECIPE), int(flush), machine_in(tmp_path / "c"), tmp_path / "r")
            assert (torch.get_num_threads(), flushes()) == (2, flush)
            assert (within.pop(), torch.backends.cudnn.benchmark) == (True, False)
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def test_a_run_writes_one_record_and_again_replaces_it(tmp_path: Path) -> None:
    recipe, machine = replace(RECIPE, epochs=1, probe_epochs=1), machine_in(tmp_path / "c")
    first = run(recipe, 0, machine, tmp_path / "r")
    assert Record.find(tmp_path / "r", recipe, 0) == first
    assert run(recipe, 0, machine, tmp_path / "r") == first
    anew = run(recipe, 0, machine, tmp_path / "r", again=True)
    assert anew.metrics == first.metrics
    assert anew.checksum != first.checksum
    assert first.resumed == anew.resumed == 0
    assert set(first.metrics) == {"linear", "knn", "class_mean", "perturbed_knn"}
    assert set(first.diagnostics) == {"cv2", "one_minus_pi0", "rho2_cv2"}
    assert first.steps == first.curve["step"][-1] + 1


def test_an_untrained_run_is_the_same_for_every_row(machine: Machine, tmp_path: Path) -> None:
    base = SCALES["smoke"].base
    rows = [
        base,
        replace(base, loss="eqco", alpha=16.0, num_negatives=4, drawing="shared"),
        replace(base, loss="eqco_jackknife", alpha=16.0, num_negatives=4, draws=2),
        replace(base, loss="dual_temperature", second_temperature=1.0, temperature=0.1),
        SCALES["smoke"].baseline("moco"),
        SCALES["smoke"].baseline("simclr"),
    ]
    (recipe,) = {untrained(row) for row in rows}
    record = run(replace(recipe, probe_epochs=1), 0, machine, tmp_path / "r")
    assert record.steps == 0
    assert record.curve == {"step": [], "loss": []}
    assert "untrained" in record.run_id


# Progress as lines of text.


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

"""Planned experiments: rows that exist, and comparisons whose weights are contrasts of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reproductions.experiments.planned import (
    CHOSEN_RATES,
    CIFAR10_ROWS,
    EXPERIMENTS,
    SEED_OF_CHOICES,
    Experiment,
    common_scale,
    experiment_jobs,
)
from reproductions.reports import log_pages, readme
from reproductions.scales import SCALES

LOG = Path(__file__).parents[3] / "log"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_has_its_log_and_compares_its_own_rows(name: str) -> None:
    made = EXPERIMENTS[name]
    assert list(LOG.glob(f"*-{name}.md"))
    base = SCALES[made.scale].base
    rows = made.rows(replace(base, data="folder:0") if base.data == "folder" else base)
    assert len(set(rows.values())) == len(rows)
    for comparison in made.comparisons:
        assert sum(comparison.weights.values()) == pytest.approx(0)
        waiting = CIFAR10_ROWS.keys() - CHOSEN_RATES if name == "cifar10-confirmation" else set()
        assert comparison.weights.keys() <= rows.keys() | waiting
        mean, low, high = comparison.predicted
        assert low < mean < high
    assert bool(made.comparisons) != (min(made.seeds) >= SEED_OF_CHOICES)


def test_runs_come_seed_by_seed_each_once() -> None:
    base = SCALES["glyphs"].base
    jobs = experiment_jobs(["constant-weight", "constant-weight"], base)
    assert len({job.run_id for job in jobs}) == len(jobs) == 90
    assert [job.seed for job in jobs] == sorted(job.seed for job in jobs)


def test_a_row_may_have_fewer_seeds() -> None:
    base = SCALES["glyphs"].base
    made = Experiment(
        "glyphs",
        lambda base: {"a": base, "b": replace(base, num_negatives=16)},
        range(3),
        seeds_of={"b": range(1)},
    )
    assert [(job.recipe.num_negatives, job.seed) for job in made.jobs(base)] == [
        (255, 0), (16, 0), (255, 1), (255, 2),
    ]  # fmt: skip


def test_a_page_says_nothing_of_accuracies_before_the_last_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {row: {seed: 50.0 + seed for seed in range(4)} for row in ("EqCo 16", "EqCo 255")}
    values["InfoNCE 16"] = {seed: 40.0 for seed in range(5)}
    monkeypatch.setattr(log_pages, "planned_values", lambda made, metric: values)
    page = log_pages.section("paper-settings")
    assert "| EqCo 16 | 4 of 5 runs | 4 of 5 runs |" in page
    assert "| InfoNCE 16 | 40.0 ± 0.0 (5) |" in page
    assert page.count("| 4 of 5 runs | **open** | – |") == 2
    for row in ("EqCo 16", "EqCo 255"):
        values[row][4] = 54.0
    page = log_pages.section("paper-settings")
    assert "| EqCo 16 | 52.0 ± 1.6 (5) |" in page
    assert "| +6.00 [+5.02, +6.98] n=5 | **holds** | missed |" in page


def test_the_front_page_has_the_confirmation_when_its_last_run_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = {
        "InfoNCE 255": {seed: 64.0 + 0.1 * seed for seed in range(8)},
        "InfoNCE 16": {seed: 61.0 + 0.1 * seed for seed in range(8)},
        "EqCo 16": {seed: 63.5 + 0.12 * seed for seed in range(7)},
        "InfoNCE 4": {},
        "EqCo 4": {},
    }
    for page in (log_pages, readme):
        monkeypatch.setattr(page, "planned_values", lambda experiment, metric: values)
    assert readme.photographs_sentence() == ""
    values["EqCo 16"][7] = 64.3
    sentence = readme.photographs_sentence()
    assert "InfoNCE with 16 negatives is 3.0 points below InfoNCE with all" in sentence
    assert "and EqCo with 16 is 0.4 points below it" in sentence
    assert "8 seeds: EqCo lies above the middle of these two rows, **holds**" in sentence


def test_experiments_of_two_scales_are_refused() -> None:
    with pytest.raises(ValueError, match="one scale at a time, got some of cifar10-cpu, glyphs"):
        common_scale(["constant-weight", "cifar10-rates"])

"""The plan of a scale, its prices, and the command that runs ImageNet as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from eqco import record as records
from eqco.__main__ import main as eqco
from eqco.checkpoint import checkpoint_path, hold
from eqco.recipe import SCALES, Machine, Recipe
from eqco.schedule import Job
from reproductions import full, plan
from tests.trees import write_tree

Outcomes = list[tuple[int, str]]
ROOT = Path(__file__).resolve().parents[1]


def test_runs_that_tables_share_are_planned_once() -> None:
    jobs = plan.jobs("imagenet", SCALES["imagenet"].base, list(plan.TABLES), 2)
    names = [job.run_id for job in jobs]
    assert len(names) == len(set(names))
    rows = {
        recipe.run_id(seed)
        for table in plan.TABLES.values()
        for recipe in table.rows("imagenet").values()
        for seed in range(2)
    }
    assert rows < set(names)
    assert len(names) == len(rows) + 2  # an untrained backbone for each seed


def test_the_four_states_of_a_run(tmp_path: Path) -> None:
    recipe, machine = SCALES["smoke"].base, Machine(checkpoints=tmp_path / "checkpoints")
    job = Job(recipe, 0)
    assert plan.state_of(job, tmp_path, machine) == "missing"
    with hold(recipe, 0, machine):
        lock = checkpoint_path(recipe, 0, machine).with_suffix(".lock")
        assert lock.exists()
    path = checkpoint_path(recipe, 0, machine)
    path.write_bytes(b"")
    assert plan.state_of(job, tmp_path, machine) == "begun"
    records.write(tmp_path, records.make(recipe, 0, machine, records.now(), metrics={}))
    assert plan.state_of(job, tmp_path, machine) == "done"


def test_a_run_that_another_process_holds_is_running_and_is_skipped(
    tmp_path: Path, sessions: Callable[[list[list[str]], Path], Outcomes]
) -> None:
    recipe = replace(SCALES["smoke"].base, loss="infonce", num_negatives=16)
    machine = Machine(checkpoints=tmp_path / "checkpoints")
    words = ["reproductions", "--scale", "smoke", "-k", "test_cell and table1 and infonce-k16"]
    with hold(recipe, 0, machine):
        ((status, text),) = sessions([words], tmp_path)
    assert status == 0, text
    assert "1 skipped" in text
    assert "is being run by another process" in " ".join(text.split())


def test_a_price_comes_from_a_measurement_else_from_what_is_stated(tmp_path: Path) -> None:
    base = SCALES["imagenet"].base
    stated = plan.price_of("imagenet", tmp_path, None)
    assert stated is not None
    assert stated.hours(replace(base, probe_epochs=1)) == pytest.approx(53 * 8, abs=1)
    path = tmp_path / "rates.json"
    rates = {"training": 2 * 1281167.0, "probing": 1281167.0}
    path.write_text(
        json.dumps(
            {"images_per_second": rates, "processes": 2, "date": "2026-01-01", "device": "x"}
        )
    )
    measured = plan.price_of("imagenet", tmp_path, path)
    assert measured is not None
    assert measured.hours(base) * 3600 == pytest.approx(200 * 1 + 90 * 2)
    half = plan.price_of("imagenet", tmp_path, path, 1281167 // 2)
    assert half is not None
    assert half.hours(base) == pytest.approx(measured.hours(base) / 2, rel=1e-4)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"rates.json is no throughput measurement"):
        plan.price_of("imagenet", tmp_path, path)


def test_a_price_of_records_is_their_median() -> None:
    price = plan.price_of("glyphs", ROOT / "nowhere", None)
    assert price is not None
    assert price.origin.startswith("median of ")
    assert 10 < price.hours(Recipe()) * 3600 < 600
    assert plan.price_of("cifar10", ROOT / "nowhere", None) is None


def test_the_plan_prints_every_run_and_the_sums(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert eqco(["plan", "--scale", "imagenet", "--records", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    jobs = plan.jobs("imagenet", SCALES["imagenet"].base, list(plan.TABLES), 1)
    assert all(job.run_id in text for job in jobs)
    assert f"{len(jobs)} runs: 0 done, 0 running, 0 begun, {len(jobs)} missing." in text
    assert "53 h on 8 V100" in text
    assert max(map(len, text.splitlines()[:-1])) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--scale", "imagnet"], "unknown scale 'imagnet': did you mean imagenet"),
        (["--scale", "imagenet", "--tables", "9"], "there is no table 9"),
        (["--scale", "imagenet", "--seeds", "0"], "--seeds must be above 0, got 0"),
        (["--scale", "imagenet", "--throughput", "/none"], "/none is no throughput measurement"),
    ],
    ids=["scale", "table", "seeds", "throughput"],
)
def test_a_plan_of_nothing_is_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert eqco(["plan", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_whole_of_imagenet_is_asked_for_before_anything_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EQCO_IMAGENET", raising=False)
    assert full.main([]) == 2
    assert "set EQCO_IMAGENET to its path" in capsys.readouterr().err
    tree = write_tree(tmp_path / "photos")
    monkeypatch.setenv("EQCO_IMAGENET", str(tree))
    assert full.main([]) == 2
    assert f"go on with what is there by --data part:{tree}" in capsys.readouterr().err
    monkeypatch.setenv("EQCO_IMAGENET", f"part:{tree}")
    records_folder = f"--records={tmp_path / 'records'}"
    assert full.main(["--plan-only", records_folder]) == 0
    text = capsys.readouterr().out
    assert "4 classes, 20 training and 8 held-out images" in text
    assert "43 runs" in text
    assert not (tmp_path / "records").exists()


@pytest.mark.parametrize(
    ("gpus", "words", "expected"),
    [
        (0, [], []),
        (1, [], []),
        (3, [], ["--launcher=torchrun", "--processes=2"]),
        (8, [], ["--launcher=torchrun", "--processes=8"]),
        (16, ["-k", "table1"], ["--launcher=torchrun", "--processes=8"]),
        (8, ["--launcher", "slurm"], []),
    ],
)
def test_a_node_shares_its_gpus_unless_told_otherwise(
    gpus: int, words: list[str], expected: list[str]
) -> None:
    assert full.launcher_words(words, gpus) == expected

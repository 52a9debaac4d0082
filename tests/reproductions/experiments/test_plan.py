"""The plan of a scale: its runs, their states and their prices; measured throughput."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from eqco.artifacts.record import Record, now
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data.image_folder import IMAGENET, scan
from eqco.recipe import Recipe
from reproductions.experiments import plan, throughput
from reproductions.experiments.grid import jobs
from reproductions.results.records import RECORDS, Records
from reproductions.scales import SCALES
from reproductions.tables import table
from tests.conftest import Command
from tests.trees import files_recipe, write_tree

IMAGENET_BASE = SCALES["imagenet"].base
NO_FOLDER = Path("/nowhere")


def test_the_grid_is_planned_where_it_is_named(run_reproductions: Command, tmp_path: Path) -> None:
    options = ["--seeds=1", f"--records={tmp_path}", f"--checkpoints={tmp_path}"]
    text = run_reproductions("plan", "--parts", "grid", *options)
    named = {job.run_id for job in jobs(SCALES["glyphs"], Recipe(), range(1), ["grid"])}
    assert named == {line.split()[0] for line in text.splitlines() if "-s0 " in line}
    assert re.search(r"Left: \d+\.\d hours", text)


def test_the_states_of_a_run(tmp_path: Path) -> None:
    recipe, machine = SCALES["smoke"].base, Machine(checkpoints=tmp_path / "checkpoints")
    job = Run(recipe, 0, machine)
    assert plan.run_state(job, Records(tmp_path)) == "missing"
    with job.hold():
        assert plan.run_state(job, Records(tmp_path)) == "running"
    assert job.lock.exists()
    assert plan.run_state(job, Records(tmp_path)) == "missing"
    job.checkpoint.write_bytes(b"")
    assert plan.run_state(job, Records(tmp_path)) == "begun"
    Record.of(recipe, 0, machine, now(), metrics={}).write(tmp_path)
    assert plan.run_state(job, Records(tmp_path)) == "done"


def test_without_records_or_a_measurement_the_stated_price_is_used(tmp_path: Path) -> None:
    stated = plan.best_price("imagenet", Records(tmp_path), None)
    assert stated.origin.startswith("stated: 53 h on 8 V100")
    assert stated.hours(replace(IMAGENET_BASE, probe_epochs=1)) == pytest.approx(53 * 8, abs=1)


def test_a_price_from_a_measurement(tmp_path: Path) -> None:
    images = IMAGENET[1]
    rates, path = {"training": 2.0 * images, "probing": 1.0 * images}, tmp_path / "rates.json"
    found = {"images_per_second": rates, "processes": 2, "date": "2026-01-01", "device": "a GPU"}
    path.write_text(json.dumps(found), encoding="utf-8")
    measured = plan.best_price("imagenet", Records(tmp_path), path)
    assert measured.origin == "measured 2026-01-01 on 2 x a GPU"
    epochs, probe_epochs = IMAGENET_BASE.epochs, IMAGENET_BASE.probe_epochs
    assert measured.hours(IMAGENET_BASE) * 3600 == pytest.approx(epochs * 1 + probe_epochs * 2)
    half = plan.best_price("imagenet", Records(tmp_path), path, images // 2)
    assert half.hours(IMAGENET_BASE) == pytest.approx(measured.hours(IMAGENET_BASE) / 2, rel=1e-4)


ZERO = '{"images_per_second": {"training": 0.0, "probing": 1.0}, "processes": 1}'


@pytest.mark.parametrize("text", [None, "{}", '{"images_per_second": 1}', ZERO], ids=repr)
def test_a_file_that_is_no_measurement_is_named(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"rates.json is not a throughput measurement"):
        plan.best_price("imagenet", Records(tmp_path), path)


def test_a_price_of_records_is_their_median(tmp_path: Path) -> None:
    price = plan.best_price("glyphs", Records(NO_FOLDER), None)
    assert price.origin.startswith("median of ")
    assert 10 < price.hours(Recipe()) * 3600 < 600
    assert plan.best_price("cifar10", Records(NO_FOLDER), None) is None
    recipe = replace(SCALES["smoke"].base, epochs=2, probe_epochs=10)
    for seed, seconds in enumerate((10.0, 20.0, 900.0)):
        spent = {"train": seconds, "probe": 5.0}
        Record.of(recipe, seed, Machine(), now(), metrics={}, seconds=spent).write(tmp_path)
    own = plan.best_price("glyphs", Records(tmp_path), None)
    assert own.hours(recipe) * 3600 == pytest.approx(20 + 5)
    assert own.origin.startswith("median of 3 records")


def test_done_and_committed_runs_are_not_in_the_sum(tmp_path: Path) -> None:
    price, machine = plan.Price(1.0, 0.5, "a test"), Machine(checkpoints=tmp_path)
    done, committed, missing = (Run(SCALES["smoke"].base, seed, machine) for seed in (0, 1, 2))
    Record.of(done.recipe, 0, Machine(), now(), metrics={}).write(tmp_path)
    runs, records = [done, committed, missing], Records(tmp_path)
    evidence = {done.run_id, committed.run_id}
    text = plan.plan(runs, records, price, "hours", evidence)
    assert "3 runs: 1 done, 1 committed, 0 running, 0 begun, 1 missing." in text
    assert f"Left: {price.hours(missing.recipe):,.1f} hours.\nPrice: a test." in text
    assert "No price is known" in plan.plan([missing], records, None, "hours")


@pytest.mark.parametrize(("scale", "seeds"), [("glyphs", 10), ("cifar10-quick", 5)])
def test_a_clone_sees_the_evidence_in_its_plan(
    scale: str, seeds: int, tmp_path: Path, run_reproductions: Command
) -> None:
    words = ["plan", "--scale", scale, "--seeds", seeds, "--tables", 1, "--checkpoints", tmp_path]
    rows = len(table(1, scale).rows) + 1
    for records, done in ((tmp_path, 0), (RECORDS, 1), (RECORDS / scale, 1)):
        text = run_reproductions(*words, "--records", records)
        assert f"{seeds * rows} runs: {done * seeds * rows} done, " in text
        assert "Left: 0.0 hours" in text


def test_runs_that_differ_in_alpha_alone_show_it(run_reproductions: Command) -> None:
    words = ["plan", "--scale", "smoke", "--records", "/nowhere", "--tables"]
    lines = run_reproductions(*words, 4).splitlines()
    alphas = [f"{row.recipe.alpha:g}" for row in table(4, "smoke").rows]
    assert lines[0].split() == ["run", "alpha", "state", "hours"]
    assert [line.split()[1] for line in lines[2 : len(alphas) + 2]] == alphas
    assert max(map(len, lines)) <= 80
    assert "alpha" not in run_reproductions(*words, 1)


def test_a_batch_of_more_images_than_the_tree_has_is_an_error(
    run_reproductions: Command, tmp_path: Path
) -> None:
    root = write_tree(tmp_path / "tree", each=3)
    for command in ("plan", "sweep"):
        words = [command, "--scale", "cifar10-quick", "--data", f"folder:{root}"]
        error = run_reproductions(*words, status=2)
        assert f"{root} has 12 training images, a batch of this scale takes 256" in error


# The measurement of a machine's throughput, on a small tree.


RATES = {"files", "training_on_ready_views", "training", "probing"}


def test_throughput_names_its_rates_and_its_machine(sixteen_images: Path) -> None:
    recipe = files_recipe(sixteen_images)
    report = throughput.throughput(recipe, scan(sixteen_images), Machine(threads=1), 1)
    assert set(report["images_per_second"]) == RATES
    assert all(rate > 0 for rate in report["images_per_second"].values())
    assert report["device"]
    assert (report["processes"], report["batch_size"]) == (1, recipe.batch_size)


def test_the_command_writes_a_measurement_that_the_plan_reads(
    sixteen_images: Path, tmp_path: Path, run_reproductions: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rates = dict.fromkeys(RATES, 100.0)
    measured = {"images_per_second": rates, "processes": 1, "date": "2026-01-01", "device": "cpu"}
    monkeypatch.setattr(throughput, "throughput", lambda *_: measured)
    out = tmp_path / "made" / "rates.json"
    words = [f"--data=part:{sixteen_images}", f"--out={out}", "--device=cpu"]
    text = run_reproductions("throughput", *words)
    assert json.loads(out.read_text(encoding="utf-8")) == measured
    assert "training on ready views        100.0 images/s" in text
    assert plan.price_from_measurement(out).origin == "measured 2026-01-01 on 1 x cpu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--scale=glyphs", "--data=part:/x"],
            "throughput is measured at scale imagenet only, got glyphs",
        ),
        (["--data=/x"], "--data takes folder:PATH or part:PATH, got '/x'"),
        (["--data=folder:"], "--data takes folder:PATH or part:PATH, got 'folder:'"),
    ],
)
def test_throughput_of_other_data_is_an_error(
    words: list[str], message: str, run_reproductions: Command
) -> None:
    assert message in run_reproductions("throughput", *words, status=2)

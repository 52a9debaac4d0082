"""A new loss, probe, metric, scale or table is a function or class and one entry; docs' diffs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import Tensor

from eqco.artifacts.record import Record
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.run import run
from eqco.evaluation import PROBES
from eqco.evaluation.features import FeatureProbe
from eqco.evaluation.metrics import METRICS, Metric
from eqco.losses.interface import of_similarities
from eqco.losses.logits import ContrastiveLogits
from eqco.losses.registry import LOSSES, Loss
from eqco.methods import METHODS
from eqco.recipe import Recipe
from reproductions.experiments import grid
from reproductions.harness import options
from reproductions.reports import pages
from reproductions.reports.terminal import closing
from reproductions.results.evidence import committed, frame
from reproductions.scales import SCALES, Scale
from reproductions.tables import TABLES, table
from reproductions.tables.base import Row, Table, beats, with_loss
from tests.conftest import Command
from tests.processes import ROOT, python
from tests.reproductions.conftest import Commit
from tests.reproductions.reports.test_terminal import cells_of
from tests.synthetic import make_record

SHORT = replace(
    SCALES["smoke"].base, data_part=0.02, batch_size=16, num_negatives=15, epochs=1, probe_epochs=1
)


def ran(recipe: Recipe, machine: Machine, folder: Path) -> Record:
    """The record of a run, as it is read from its file."""
    run(recipe, 0, machine, folder)
    return Record.find(folder, recipe, 0)  # type: ignore[return-value]


@of_similarities
def hinge(
    logits: ContrastiveLogits,
    *,
    temperature: float,
    second_temperature: float = 1.0,
) -> Tensor:
    """A loss that no file of the project has."""
    return F.relu(second_temperature + logits.log_odds(temperature))


@pytest.mark.parametrize("setting", ["", "second_temperature"])
def test_a_loss_is_one_entry(
    setting: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = table(5, "glyphs")
    monkeypatch.setitem(LOSSES, "hinge", Loss(hinge, "Hinge", setting, example=0.5))
    few, base = with_loss(SHORT, "hinge", 4), SCALES["glyphs"].base
    assert few.recipe.second_temperature == (0.5 if setting else None)
    found = table(5, "glyphs")
    new = [row for row in found.rows if row not in before.rows]
    assert [row.name for row in new] == ["simo-hinge-k16", f"simo-hinge-k{base.num_negatives}"]
    claims = [claim for claim in found.claims if claim not in before.claims]
    assert [claim.name for claim in claims] == ["hinge-beats-infonce-k16", "hinge-equals-eqco-k16"]
    assert all(claim.statement.startswith("Hinge with K=16 is") for claim in claims)
    jobs = {job.run_id for job in grid.jobs(SCALES["glyphs"], base, range(1), ["tables"])}
    assert {row.recipe.run_id(0) for row in new} <= jobs
    text = closing(cells_of({row: [80.0] for row in new}), [], width=100, colour=False)
    assert text.count("Hinge") == len(new)
    record = ran(few.recipe, machine, tmp_path)
    assert list(frame([record])["loss_title"]) == ["Hinge"]


class Constant(FeatureProbe):
    """A probe that no file of the project has."""

    def metrics(self) -> dict[str, float]:
        """The number of held-out images, whatever the backbone."""
        return {"linear": float(sum(len(labels) for _, labels in self.images.whole("held_out")))}


def test_a_probe_is_one_entry(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROBES, "constant", Constant)
    recipe = replace(SHORT, probe="constant")
    assert recipe.digest() != SHORT.digest()
    images = open_images(recipe, 0, machine)
    count = sum(len(labels) for _, labels in images.whole("held_out"))
    assert ran(recipe, machine, tmp_path).metrics == {"linear": count}


def test_a_scale_is_one_entry(
    monkeypatch: pytest.MonkeyPatch, run_reproductions: Command, tmp_path: Path
) -> None:
    base = replace(SCALES["smoke"].base, epochs=1)
    below = dict.fromkeys(METHODS, (4,))
    scale = replace(SCALES["smoke"], base=base, below=below, run="a moment")
    monkeypatch.setitem(SCALES, "minute", scale)
    found = table(1, "minute")
    assert {row.recipe.num_negatives for row in found.rows} == {4, base.num_negatives}
    jobs = grid.jobs(scale, base, range(1), ["tables"])
    assert {row.recipe for row in found.rows} < {job.recipe for job in jobs}
    assert options.OPTIONS["scale"]["type"]("minute") == "minute"
    places = [f"--{name}={tmp_path}" for name in ("records", "checkpoints")]
    text = " ".join(run_reproductions("tables", "--scale=minute", places[0]).split())
    assert f"minute 4, {base.num_negatives} 0 0 glyphs; a moment; never evidence" in text
    for number in TABLES:
        assert f" {number} {table(number, 'minute').title} " in text
    text = run_reproductions("plan", "--scale=minute", *places)
    assert all(job.run_id in text for job in jobs)


def depth(scale: Scale, base: Recipe) -> Table:
    """A table that no file of the project has; its rows have records at scale glyphs."""
    full = Row(scale.baseline("simo", base))
    few = with_loss(full.recipe, "infonce", 4)
    claims = (beats("all-beat-few", "all", full, few),)
    return Table("few against all", (few, full), claims, "all-beat-few")


def test_a_table_is_one_entry(
    monkeypatch: pytest.MonkeyPatch, run_reproductions: Command, tmp_path: Path, commit: Commit
) -> None:
    number = max(TABLES) + 1
    monkeypatch.setitem(TABLES, number, depth)
    rows = table(number, "glyphs").rows
    commit([make_record(row.recipe, seed, 80.0 + seed) for row in rows for seed in range(3)])
    shown = pages.all_tables().partition(f"## Table {number}: few against all\n")[2]
    assert pages.table_page(number, committed("glyphs")) in shown
    assert f"-k table{number}`" in pages.prices()
    base = replace(SCALES["glyphs"].base, learning_rate=0.05)
    jobs = {job.recipe for job in grid.jobs(SCALES["glyphs"], base, range(1), ["tables"], [number])}
    assert {row.recipe for row in table(number, "glyphs", base).rows} < jobs
    text = " ".join(run_reproductions("tables", f"--records={tmp_path}").split())
    assert f"{number} few against all 2 1" in text


def test_a_metric_appears_in_the_pages(monkeypatch: pytest.MonkeyPatch, commit: Commit) -> None:
    """Committed records lack it: its cells are empty, and no page fails."""
    rows = table(1, "glyphs").rows
    commit([make_record(row.recipe, seed, 80.0 + seed) for row in rows for seed in range(3)])
    mine = Metric("share of the first class", lambda train, test, *_: 100.0)
    monkeypatch.setitem(METRICS, "mine", mine)
    assert "share of the first class" in pages.table_page(1, committed("glyphs"))


# The diffs of docs/adding.md apply to this tree, and what they add is there by its name.


DIFFS = sorted((ROOT / "docs" / "adding").glob("*.diff"))
PROGRAM = """
import runpy, sys
from dataclasses import replace
from pathlib import Path
from eqco.engine.run import run
from eqco.config import Machine
from reproductions.__main__ import main
from reproductions.scales import SCALES
base = replace(SCALES["smoke"].base, batch_size=16, num_negatives=15, epochs=1, data_part=0.02)
machine = Machine(threads=1, checkpoints=Path("checkpoints"))
for changes in ({"method": "symmetric"}, {"data": "digits"}):
    record = run(replace(base, **changes), 0, machine, Path("records"))
    print(record.steps > 0, record.recipe.method, record.recipe.data)
main(["tables"])
sys.argv[1:] = ["--out", "."]
runpy.run_module("figures.margin", run_name="__main__")
"""
PROOFS = {  # what the program prints
    "method": "True symmetric",
    "data_set": "True simo digits",
    "table": "11 the momentum encoder",
}
CHOSEN = ["-q", "-k", "hinge or every"]


@pytest.fixture(scope="module")
def patched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    skip = shutil.ignore_patterns("__pycache__", "*.pdf")
    for name in ("eqco", "reproductions", "figures", "tests", "log"):
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for diff in DIFFS:
        subprocess.run(["git", "apply", "-C1", str(diff)], cwd=folder, check=True)
    return folder


def test_every_diff_has_a_proof_and_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    assert {diff.stem for diff in DIFFS} == {*PROOFS, "loss", "figure"}
    for diff in DIFFS:
        assert f'--8<-- "docs/adding/{diff.name}"' in page


def test_a_loss_that_a_diff_adds_is_tested(patched: Path) -> None:
    words = ("-m", "pytest", *CHOSEN, "tests/losses/test_definition.py")
    assert " passed" in python(*words, folder=patched, PYTHONPATH=str(patched)).stdout


def test_what_diffs_add_works(patched: Path) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn ships the digits")
    output = python("-c", PROGRAM, folder=patched, PYTHONPATH=str(patched)).stdout
    assert [name for name, text in PROOFS.items() if text not in output] == []
    assert (patched / "margin.png").stat().st_size > 10_000
    assert (patched / "margin.pdf").exists()
    assert len((patched / "margin.csv").read_text(encoding="utf-8").splitlines()) == 16

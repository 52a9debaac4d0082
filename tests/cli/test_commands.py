"""The command `eqco`: defaults, examples, nearest names, exit codes; `doctor`, `redo`; outputs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from eqco.__main__ import main
from eqco.artifacts.record import Record, now
from eqco.cli import parser, train
from eqco.cli.doctor import ADDS
from eqco.cli.redo import differences
from eqco.config import Machine
from eqco.engine import precision
from eqco.engine.run import run
from eqco.recipe import Recipe
from reproductions.__main__ import main as reproductions
from reproductions.scales import SCALES
from tests.conftest import Command
from tests.faults import damage
from tests.processes import ROOT, python
from tests.synthetic import changed, make_record
from tests.trees import write_tree

COMMANDS = parser()[1]
WRONG = {
    "command": (["trian"], "unknown command 'trian': did you mean train"),
    "command, unlike any": (["foo"], "unknown command 'foo': known are train, probe, dia"),
    "option": (["train", "--epocs", "3"], "unknown option '--epocs': did you mean --epochs"),
    "option of the top": (["--versoin"], "unknown option '--versoin': did you mean --version"),
    "no command": ([], "the following arguments are required: command"),
    "number": (["train", "--data", "x", "--epochs", "0"], "--epochs: must be a whole number"),
    "folder": (["train", "--data", "/nowhere"], "--data /nowhere does not exist"),
    "device": (["train", "--data", "glyphs", "--device", "cdua"], "unknown device 'cdua'"),
    "no such device": (["train", "--data", "glyphs", "--device", "xpu"], "--device xpu: torch"),
    "colours": (["train", "--data", "glyphs", "--backbone", "small-rgb"], "--backbone small-rgb"),
    "list": (["ls", "/nowhere"], "folder /nowhere does not exist: records are written by"),
    "run": (["redo", "simo-x", "--records", str(ROOT / "docs")], "simo-x is neither the file of a"),
    "no run": (["redo", "", "--records", str(ROOT / "docs")], "is neither the file of a record"),
    "home of a run": (["redo", "~no_such_user_here/x"], "~no_such_user_here/x"),
    "record": (["show", "/nowhere.json"], "record /nowhere.json cannot be opened: No such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_with_its_default_and_every_command_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert f"example:\n  eqco {name} " in command.format_help()
    for action in command._actions:
        assert action.help, action.dest
        text = command._get_formatter()._expand_help(action)
        switch = action.nargs == 0
        if action.option_strings and not switch and action.default is not None:
            assert "default" in text, action.dest


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_sentence_and_status_2(case: str, run_eqco: Command) -> None:
    words, sentence = WRONG[case]
    error = run_eqco(*words, status=2)
    assert sentence in error
    assert (error.count("\n"), error[:7]) == (1, "error: ")
    assert "delete" not in error


def test_ctrl_c_has_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(train, "run", Mock(side_effect=KeyboardInterrupt))
    places = ["--records", str(tmp_path), "--checkpoints", str(tmp_path)]
    assert main(["train", "--data", "glyphs", *places]) == 130
    assert "continue with: eqco train --data glyphs" in capsys.readouterr().err


# `eqco doctor` names what is there and what is not.


def test_the_report_names_devices_units_cores_and_data(
    sixteen_images: Path, tmp_path: Path, run_eqco: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "reported_units", set)
    words = ["doctor", "--seconds", "0", "--threads", "1", "--data"]
    report = json.loads(run_eqco(*words, sixteen_images, "--json"))
    assert report["devices"][-1] == "cpu"
    assert report["cores"]["granted"] >= 1
    assert report["threads"] == 1
    assert report["data"]["tree"] == f"{sixteen_images}: 4 classes, 16 and 8 images"
    text = run_eqco(*words, tmp_path / "none")
    if report["devices"] == ["cpu"]:
        assert "emulated, ten times slower than float32" in text
    assert f"tree: none in {tmp_path / 'none'}" in text


WITHOUT = """
import importlib.metadata, importlib.machinery, sys
missing = sys.argv[1].split(",")
find, version = importlib.machinery.PathFinder.find_spec, importlib.metadata.version

def find_spec(name, *more):
    return None if name.replace("PIL", "pillow").split(".")[0] in missing else find(name, *more)

def known_version(name):
    if name in missing:
        raise importlib.metadata.PackageNotFoundError(name)
    return version(name)

importlib.machinery.PathFinder.find_spec = find_spec
importlib.metadata.version = known_version
from eqco.__main__ import main
sys.exit(main(["doctor", "--seconds", "0.01"]))
"""


@pytest.mark.parametrize("missing", [sorted(ADDS), ["rich", "submitit"]], ids=["all", "some"])
def test_doctor_works_with_torch_alone_and_says_what_is_missing(missing: list[str]) -> None:
    out = python("-c", WITHOUT, ",".join(missing)).stdout
    lines = [line for line in out.splitlines() if line.startswith("missing")]
    assert sorted(lines) == [f"missing    {name}: {ADDS[name]}" for name in missing]
    assert "pip install 'eqco[suite,slurm]' adds them" in out
    assert "devices    " in out
    whole = "numpy" not in missing
    assert ("glyphs: drawn characters" in out, "images/s" in out) == (whole, whole)
    assert whole or "not checked: data and speed need numpy, pillow, filelock, torchv" in out


# No command writes over a file that it reads, whatever its name is there.


def places(folder: Path) -> list[tuple[Callable[[list[str]], int], list[str], Path]]:
    """Commands whose output is what they read: words, and the file."""
    checkpoint, record = (
        damage.train(folder, until=1),
        make_record(Recipe(), 0, 80.0).write(folder / "r"),
    )
    picture = write_tree(folder / "tree") / "train" / "n02" / "3.JPEG"
    (folder / "link.pt").symlink_to(checkpoint)
    os.link(checkpoint, folder / "hard.pt")
    around = f"{checkpoint.parent}/../{checkpoint.parent.name}/{checkpoint.name}"
    export, redo = ["export", str(checkpoint)], ["redo", str(record), f"--out={record.parent}"]
    exports = (checkpoint, folder / "link.pt", folder / "hard.pt", around)
    table, report = ("table", "--scale=glyphs", "--format=json"), ("report",)
    rate = ["throughput", f"--data=part:{folder / 'tree'}", f"--out={picture}"]
    own = [*((main, [*export, str(out)], checkpoint) for out in exports), (main, redo, record)]
    own += [(reproductions, [*w, f"--records={record.parent}", f"--out={record}"], record)
            for w in (table, report)]  # fmt: skip
    drawn = ["embed", str(checkpoint), f"--data={folder / 'tree'}", f"--picture={picture}"]
    return [*own, (reproductions, rate, picture), (main, drawn, picture)]


def test_no_command_overwrites_what_it_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, words, file in places(tmp_path):
        before = file.read_bytes()
        assert command(words) == 2, words
        assert "would be lost: write to another file" in capsys.readouterr().err
        assert file.read_bytes() == before


# `eqco redo`: the same numbers again, or which of them differ.


TINY = replace(SCALES["smoke"].base, epochs=1)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a finished run."""
    folder = tmp_path_factory.mktemp("redo")
    made = run(TINY, 0, Machine(threads=1, checkpoints=folder / "checkpoints"), folder)
    return folder / f"{made.run_id}.json"


def test_a_run_made_again_is_equal_to_the_bit_and_leaves_nothing(
    record: Path, tmp_path: Path, run_eqco: Command
) -> None:
    out = tmp_path / "out"
    text = run_eqco("redo", record.stem, "--records", record.parent, "--out", out)
    assert text.splitlines()[-1] == f"{record.stem}: equal to the bit"
    assert not [path for path in out.rglob("*") if path.suffix in (".json", ".pt")]


def test_a_number_that_differs_is_named_with_both_values(
    record: Path, tmp_path: Path, run_eqco: Command
) -> None:
    made = Record.read(record)
    metrics = {**made.metrics, "knn": made.metrics["knn"] + 0.25}
    other = changed(made, metrics=metrics).write(tmp_path)
    outcome = json.loads(run_eqco("redo", other, "--out", tmp_path / "out", "--json", status=1))
    assert not outcome["equal"]
    assert list(outcome["differs"]) == ["metrics.knn"]
    before, after = outcome["differs"]["metrics.knn"]
    assert before - after == pytest.approx(0.25)


@pytest.mark.parametrize("data", ["folder:12345678", "images:12345678", "part:12345678"])
def test_a_missing_data_folder_is_named(data: str, tmp_path: Path, run_eqco: Command) -> None:
    files = {"views": "moco-v2", "image_size": 32, "probe": "crops"} if "part" in data else {}
    recipe = replace(SCALES["cifar10-quick"].base, data=data, epochs=0, **files)
    record = Record.of(recipe, 0, Machine(), now(), metrics={}).write(tmp_path)
    nowhere = tmp_path / "nowhere"
    error = run_eqco("redo", record, "--data", nowhere, "--out", tmp_path / "out", status=2)
    assert error == f"error: --data {nowhere} does not exist: give the path of a folder of images\n"


def test_what_is_not_kept_in_an_older_record_is_not_compared(record: Path) -> None:
    new = Record.read(record)
    assert new.correct
    assert differences(replace(new, correct={}), new) == {}
    assert list(differences(replace(new, steps=1), new)) == ["steps"]

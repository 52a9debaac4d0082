"""Sessions: wrong options, launchers, devices, and the data of a user."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from eqco.artifacts.record import Record, now
from eqco.config import Machine
from eqco.data.image_folder import identity
from eqco.engine import precision
from eqco.engine.launchers import choose_device
from reproductions.experiments.resolve import CLUSTER_WORKERS, choose_workers
from reproductions.harness.options import add_free_options
from reproductions.harness.session import read_session
from reproductions.results.evidence import committed
from reproductions.results.records import RECORDS
from reproductions.scales import SCALES
from tests.conftest import Outcome, Sessions
from tests.trees import write_tree

RECIPE = replace(SCALES["smoke"].base, epochs=1, probe_epochs=2)
MISTAKES = {
    "argument --scale: unknown scale 'glyph': did you mean glyphs": ["--scale", "glyph"],
    "argument --run: unknown --run policy 'sometimes'": ["--run", "sometimes"],
    "argument --processes: must be a whole number of at least 1, got '0'": ["--processes", "0"],
    "argument --records: must be a path, got ''": ["--records="],
    "argument --launcher: unknown launcher 'torchrunn': did you mean torchrun":
        ["--launcher", "torchrunn"],
    "needs --data folder:PATH": ["--scale", "cifar10-quick"],
    "glyphs has no record of a table's row, seeds 0 to 0: leave --run never": ["--run", "never"],
    "cifar10-quick has no record of a table's row": ["--run", "never", "--scale", "cifar10-quick"],
    "--data takes folder:PATH or part:PATH, got '/x'": ["--scale=cifar10-quick", "--data=/x"],
    "--data part:PATH goes with --scale imagenet": ["--scale=cifar10-quick", "--data=part:/x"],
    "this scale needs --data folder:PATH": ["--scale", "imagenet"],
    "--device cuda:99": ["--device", "cuda:99"],
    "--processes 2 needs --launcher torchrun or slurm": ["--processes", "2"],
    "of slurm are NAME=VALUE, got ('gpu',)": ["--launcher=slurm", "--launcher-options=gpu"],
    "3 processes cannot share a batch of 64 equally: choose":
        ["--launcher=torchrun", "--processes=3", "--scale=smoke", "--device=cpu"],
    "bn_splits is 8, which 16 processes cannot share equally":
        ["--launcher=torchrun", "--processes=16", "--scale=smoke", "--device=cpu", "-k=table2"],
    "--launcher slurm: this host has no srun: submit on a node": ["--launcher=slurm"],
    "--run always works in this process only": ["--write-jobs", "--run=always"],
}  # fmt: skip


@pytest.fixture(scope="module")
def mistakes(
    tmp_path_factory: pytest.TempPathFactory, sessions: Sessions
) -> tuple[dict[str, Outcome], Path]:
    """Outcomes of pytest with each mistake, and the folder of records and checkpoints."""
    folder = tmp_path_factory.mktemp("mistakes")
    outcomes = sessions([["reproductions", *words] for words in MISTAKES.values()], folder)
    return dict(zip(MISTAKES, outcomes, strict=True)), folder


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_wrong_option_is_an_error_of_one_sentence_and_nothing_is_written(
    sentence: str, mistakes: tuple[dict[str, Outcome], Path]
) -> None:
    outcomes, folder = mistakes
    status, text = outcomes[sentence]
    assert status == 4
    assert sentence in text
    assert len([line for line in text.splitlines() if sentence in line]) == 1
    assert "Traceback" not in text
    assert not [path for path in folder.rglob("*") if path.is_file()]


def config_of(*words: str, collect: bool = True) -> Any:
    """What `read_session` reads of a pytest.Config."""
    parser = argparse.ArgumentParser()
    add_free_options(parser.add_argument, ())
    options = parser.parse_args(words)
    return SimpleNamespace(
        getoption=lambda name: getattr(options, name),
        option=SimpleNamespace(collectonly=collect),
        invocation_params=SimpleNamespace(args=("reproductions", "-q", *words)),
    )


def test_a_session_has_what_its_options_say(tmp_path: Path) -> None:
    words = ["--scale=smoke", "--seeds=3", f"--records={tmp_path}", "--threads=1", "--device=cpu"]
    session = read_session(config_of(*words, "--launcher-options=a 'b c'"))
    assert (session.scale, session.policy, session.launcher) == ("smoke", "missing", "here")
    assert (session.seeds, session.folder) == (range(3), tmp_path / "smoke")
    assert session.base == SCALES["smoke"].base
    assert (session.machine.threads, session.machine.device) == (1, "cpu")
    assert session.launcher_options == ("a", "b c")
    assert session.command.startswith("pytest reproductions --scale=smoke")


def test_a_tree_of_the_user_is_the_data_of_all_tables(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "photos")
    session = read_session(config_of("--scale=cifar10-quick", f"--data=folder:{tree}"))
    name = f"folder:{identity(tree)}"
    assert (session.base.data, session.machine.data_dir) == (name, tree)
    assert {row.recipe.data for row in session.table(1).rows} == {name}


def test_committed_records_are_no_evidence_about_themselves(tmp_path: Path) -> None:
    own = read_session(config_of(f"--records={RECORDS}", "--run=never"))
    other = read_session(config_of(f"--records={tmp_path}"))
    assert not own.has_own_records
    with pytest.raises(pytest.UsageError, match="holds the evidence: judge it with --run never"):
        read_session(config_of(f"--records={RECORDS}"))
    assert other.has_own_records


def write_record(folder: Path, data: str) -> None:
    """A record of the baseline of `cifar10-quick`."""
    base = replace(SCALES["cifar10-quick"].base, data=data)
    Record.of(base, 0, Machine(), now(), metrics={}).write(folder / "cifar10-quick")


def test_a_session_without_images_judges_the_records_there_are(tmp_path: Path) -> None:
    words = ["--scale=cifar10-quick", f"--records={tmp_path}", "--run=never"]
    assert read_session(config_of(*words)).base == SCALES["cifar10-quick"].base
    write_record(tmp_path, "folder:mine-01234567")
    session = read_session(config_of(*words))
    assert session.base.data == "folder:mine-01234567"
    baseline = session.table(1).row("simo-infonce-k255")
    assert list(session.own_evidence(1).records_for(baseline)) == [0]
    write_record(tmp_path, "folder:other-01234567")
    several = "records of folder:mine-01234567 and folder:other-01234567: name the one to judge"
    with pytest.raises(pytest.UsageError, match=several):
        read_session(config_of(*words))


def test_verdicts_are_of_all_claims_of_a_table_and_of_runs_that_have_the_metric(
    tmp_path: Path,
) -> None:
    session = read_session(config_of(f"--records={tmp_path}", "--seeds=3"))
    for row in session.table(1).rows[:4]:
        for seed in range(3):
            metrics = {"linear": 80.0 + seed + row.recipe.num_negatives / 100}
            Record.of(row.recipe, seed, Machine(), now(), metrics=metrics).write(session.folder)
    found = session.own_evidence(1).verdicts[1]
    assert list(found) == [claim.name for claim in session.table(1).claims]
    assert {name for name, verdicts in found.items() if verdicts} == {
        f"infonce-k{k}-drops" for k in SCALES["glyphs"].below["simo"]
    }
    assert {metric for verdicts in found.values() for metric in verdicts} == {"linear"}
    assert session.committed.verdicts[1] == committed("glyphs").verdicts[1]


def test_records_of_a_row_are_found_by_seed(tmp_path: Path) -> None:
    session = read_session(config_of("--scale=smoke", f"--records={tmp_path}", "--seeds=3"))
    row = session.table(1).rows[0]
    for seed in (0, 2, 3):
        Record.of(row.recipe, seed, Machine(), now(), metrics={}).write(session.folder)
    records = session.own_evidence(1).records_for(row)
    assert {seed: record.seed for seed, record in records.items()} == {0: 0, 2: 2}


def test_a_cluster_has_gpus_though_this_host_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    base = SCALES["imagenet"].base
    assert choose_device("auto", "slurm") == "cuda"
    assert choose_device("auto", "here") == "cpu"
    assert choose_workers(None, base, 8, "slurm") == CLUSTER_WORKERS
    assert choose_workers(None, RECIPE, 8, "slurm") == 0
    assert (choose_workers(0, base, 8, "slurm"), choose_workers(3, base, 8, "here")) == (0, 3)
    with pytest.raises(ValueError, match="--device cuda: torch sees no such device here"):
        choose_device("cuda", "torchrun")


def test_a_scale_of_bfloat16_is_refused_where_this_cpu_emulates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the user chose: for float32, for the slow way, or for no training at all."""
    monkeypatch.setattr(precision, "reported_units", set)
    words = (
        "--scale=cifar10", "--device=cpu", f"--records={tmp_path / 'records'}",
        f"--checkpoints={tmp_path / 'checkpoints'}",
    )  # fmt: skip
    sentence = r"--precision float32, or give --precision bfloat16"
    with pytest.raises(pytest.UsageError, match=sentence):
        read_session(config_of(*words, collect=False))
    assert not list(tmp_path.iterdir())
    row = SCALES["cifar10"].base
    Record.of(row, 0, Machine(), now(), metrics={}).write(tmp_path / "records" / "cifar10")
    for more, expected in (
        ("--precision=float32", "float32"),
        ("--precision=bfloat16", "bfloat16"),
        ("--run=never", "bfloat16"),
    ):
        session = read_session(config_of(*words, more, collect=False))
        assert session.base.precision == expected
        assert {row.recipe.precision for row in session.table(1).rows} == {expected}
    monkeypatch.setattr(precision, "reported_units", lambda: {"amx_bf16"})
    assert read_session(config_of(*words, collect=False)).base == SCALES["cifar10"].base


def test_bfloat16_is_no_choice_at_a_scale_of_float32() -> None:
    with pytest.raises(pytest.UsageError, match="imagenet, glyphs is in float32"):
        read_session(config_of("--precision=bfloat16"))
    assert read_session(config_of("--precision=float32")).base == SCALES["glyphs"].base

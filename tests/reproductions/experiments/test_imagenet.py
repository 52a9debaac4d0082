"""The command that runs all tables on ImageNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from reproductions.experiments import imagenet
from reproductions.experiments.grid import jobs
from reproductions.scales import SCALES
from tests.conftest import Command
from tests.trees import write_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of four classes, which is not the whole of ImageNet."""
    return write_tree(tmp_path / "photos", each=70)  # a batch takes 256


def test_a_path_that_is_missing_or_not_of_imagenet_is_named(
    run_reproductions: Command, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EQCO_IMAGENET", raising=False)
    assert "set EQCO_IMAGENET to its path" in run_reproductions("full", status=2)
    monkeypatch.setenv("EQCO_IMAGENET", str(tree))
    sentence = f"go on with what is there by --data part:{tree}"
    assert sentence in run_reproductions("full", status=2)


def test_plan_only_prints_the_tree_and_the_plan_and_writes_nothing(
    run_reproductions: Command, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQCO_IMAGENET", f"part:{tree}")
    text = run_reproductions("full", "--plan-only", f"--records={tmp_path / 'records'}")
    assert "4 classes, 280 training and 8 held-out images" in text
    planned = jobs(SCALES["imagenet"], SCALES["imagenet"].base, range(1), ["tables"])
    assert f"{len(planned)} runs" in text
    assert not (tmp_path / "records").exists()


def test_pytest_gets_the_options_of_full_and_all_other_words(
    run_reproductions: Command, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    monkeypatch.setattr(imagenet.pytest, "main", lambda own: words.extend(own) or 1)
    monkeypatch.setattr(imagenet.torch.cuda, "device_count", lambda: 2)
    options = [f"--data=part:{tree}", "--seeds=3", f"--records={tmp_path / 'records'}"]
    run_reproductions("full", *options, "-k", "table1", status=1)
    assert Path(words[0]) == imagenet.HERE
    assert {"--scale=imagenet", *options} < set(words)
    assert words[-4:] == ["--launcher=torchrun", "--processes=2", "-k", "table1"]


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        ("part:/a", "/b", "part:/a"),
        ("", "/b", "folder:/b"),
        ("", "part:/b", "part:/b"),
        ("", "folder:/b", "folder:/b"),
    ],
)
def test_the_option_data_precedes_the_environment(
    option: str, environment: str, expected: str
) -> None:
    assert imagenet.data_option(option, environment) == expected


@pytest.mark.parametrize(
    ("gpus", "words", "expected"),
    [
        (0, [], []),
        (1, [], []),
        (3, [], ["--launcher=torchrun", "--processes=2"]),
        (8, [], ["--launcher=torchrun", "--processes=8"]),
        (16, ["-k", "table1"], ["--launcher=torchrun", "--processes=8"]),
        (8, ["--launcher", "slurm"], []),
        (8, ["--processes=4"], []),
    ],
)
def test_torchrun_uses_the_gpus_of_a_node_without_a_launcher_option(
    gpus: int, words: list[str], expected: list[str]
) -> None:
    assert imagenet.launcher_words(words, gpus) == expected

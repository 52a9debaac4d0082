"""What the README promises exists, and what it shows runs."""

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Outcomes = list[tuple[int, str]]
Sessions = Callable[[list[list[str]], Path], Outcomes]
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`((?:pytest|python -m) [^`]+)`", README)))


def test_the_readme_prints_commands() -> None:
    assert len(COMMANDS) >= 8


PYTEST = [command for command in COMMANDS if command.startswith("pytest")]
PYTHON = [command for command in COMMANDS if command.startswith("python")]


@pytest.fixture(scope="module")
def collected(
    tmp_path_factory: pytest.TempPathFactory, sessions: Sessions
) -> dict[str, tuple[int, str]]:
    """Each pytest command with --collect-only; an image tree stands in for PATH."""
    folder = tmp_path_factory.mktemp("readme")
    for split in ("train", "val"):
        for name in ("a", "b"):
            (folder / split / name).mkdir(parents=True)
            (folder / split / name / "1.png").write_bytes(b"not opened when collecting")
    words = [shlex.split(command.replace("PATH", str(folder)))[1:] for command in PYTEST]
    outcomes = sessions([[*each, "--collect-only", "-q"] for each in words], folder)
    return dict(zip(PYTEST, outcomes, strict=True))


@pytest.mark.parametrize("command", PYTEST)
def test_pytest_commands_collect_cases(command: str, collected: dict[str, tuple[int, str]]) -> None:
    status, text = collected[command]
    assert status == 0, text
    assert "test_cell" in text


@pytest.mark.parametrize("command", PYTHON)
def test_python_commands_know_help(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if not word.isupper()]
    done = subprocess.run(
        [sys.executable, *words, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_tox_environments_of_the_readme_are_declared() -> None:
    declared = (ROOT / "tox.ini").read_text(encoding="utf-8")
    named = set(re.findall(r"tox -e ([\w-]+)", README))
    assert named >= {"table1", "tests"}
    for name in named:
        assert f"[testenv:{name}]" in declared


def test_the_python_example_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        names: dict[str, object] = {}
        exec(block, names)
        assert float(names["loss"]) > 0  # type: ignore[arg-type]

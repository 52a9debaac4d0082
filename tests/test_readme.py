"""What the README promises exists, and what it shows runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"`((?:pytest|python -m) [^`]+)`", README)))


def test_the_readme_prints_commands() -> None:
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("pytest")])
def test_pytest_commands_collect_cases(command: str, tmp_path: Path) -> None:
    """The command with --collect-only; an image tree stands in for PATH."""
    for split in ("train", "val"):
        for name in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / "1.png").write_bytes(b"not opened when collecting")
    words = shlex.split(command.replace("PATH", str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-m", *words, "--collect-only", "-q"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_cell" in done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python")])
def test_python_commands_know_help(command: str) -> None:
    words = shlex.split(command)[1:]
    done = subprocess.run(
        [sys.executable, *words, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_tox_environments_of_the_readme_are_declared() -> None:
    declared = (ROOT / "tox.ini").read_text(encoding="utf-8")
    named = set(re.findall(r"tox -e (\w+)", README))
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

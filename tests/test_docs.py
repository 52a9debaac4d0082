"""README and docs: commands exist, links lead somewhere, examples run."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import Outcome, Sessions, passed
from tests.processes import ROOT
from tests.trees import write_names

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS = sorted(set(re.findall(r"`((?:pytest|python -m|eqco) [^`]+)`", TEXT)))
COMMANDS = sorted({*COMMANDS, *re.findall(r"^pytest reproductions/ .*", TEXT, re.MULTILINE)})
PYTEST = [command for command in COMMANDS if command.startswith("pytest reproductions")]
PYTHON = [command for command in COMMANDS if not command.startswith("pytest")]


def test_the_pages_print_commands() -> None:
    assert len(PYTEST) >= 5
    assert len(PYTHON) >= 10


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, sessions: Sessions) -> dict[str, Outcome]:
    """Each pytest command with --collect-only; an image tree stands in for PATH."""
    folder = tmp_path_factory.mktemp("pages")
    write_names(folder, *(f"{split}/{name}/1.png" for split in ("train", "val") for name in "ab"))
    whole, part = "imagenet --data folder:PATH", "imagenet --data part:PATH"
    commands = [line.replace(whole, part).replace("PATH", str(folder)) for line in PYTEST]
    words = [[*shlex.split(command)[1:], "--collect-only", "-q"] for command in commands]
    return dict(zip(PYTEST, sessions(words, folder), strict=True))


@pytest.mark.parametrize("command", PYTEST)
def test_pytest_commands_collect_cases(command: str, collected: dict[str, Outcome]) -> None:
    assert "test_cell" in passed(collected[command])


def without_values(command: str) -> tuple[str, ...]:
    """The words that choose a command, such as ("-m", "reproductions", "plan")."""
    words = shlex.split(
        command.replace("eqco ", "python -m eqco ", 1) if command[0] == "e" else command
    )
    given = [word for word in words[1:] if word.islower() and "=" not in word]
    chosen = [word for word in given if word == "-m" or not word.startswith("-")]
    return tuple(chosen[:3])


@cache
def help_of(words: tuple[str, ...]) -> str:
    """The help page of `python -m ...`, whose process need not be another one."""
    text = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(text):
        patch.setattr(sys, "argv", [*words[1:], "--help"])
        with contextlib.suppress(SystemExit):
            runpy.run_module(words[1], run_name="__main__")
    return text.getvalue()


@pytest.mark.parametrize("command", PYTHON)
def test_python_commands_and_their_options_are_on_a_help_page(command: str) -> None:
    text = help_of(without_values(command))
    assert "usage" in text
    for option in re.findall(r"--[a-z-]+", command):
        assert option in text, option


def test_tox_environments_of_the_pages_are_declared() -> None:
    declared = (ROOT / "tox.ini").read_text(encoding="utf-8")
    named = set(re.findall(r"tox -e ([a-z][\w-]*)", TEXT + declared))
    assert named >= {"table1", "tests", "full-imagenet", "benchmark"}
    for name in named:
        assert f"[testenv:{name}]" in declared


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_front_page_answers_first() -> None:
    lines = README.splitlines()
    assert any(line.startswith("**In short:** ") for line in lines[:15])
    first = "\n".join(lines[:20])
    assert re.search(r"\[-?\d+\.\d, -?\d+\.\d\] \(simultaneous 95 % interval, \d+ seeds\)", first)


def test_every_page_of_docs_is_reached_from_the_front_page() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in README, page.name


def test_no_source_file_is_ignored_by_git() -> None:
    """A rule such as `runs/` once hid a whole sub-package from git and from ruff."""
    words = ["ls-files", "--others", "--ignored", "--exclude-standard", "--", "*.py"]
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    inside = ("eqco/", "examples/", "reproductions/", "figures/", "benchmark/", "tests/")
    assert [name for name in done.stdout.split() if name.startswith(inside)] == []

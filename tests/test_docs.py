"""README, docs and examples: commands exist, links lead somewhere, blocks and examples run."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from eqco.__main__ import main as eqco
from reproductions.__main__ import main as reproductions
from tests.conftest import Outcome, Sessions, passed
from tests.processes import ROOT, python
from tests.trees import write_flat, write_names

NOTEBOOK = ROOT / "examples" / "eqco.ipynb"
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


@pytest.mark.parametrize("page", [*PAGES, NOTEBOOK], ids=lambda page: str(page.relative_to(ROOT)))
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


# Blocks of Python and of commands run, or stand in one list with their reason. Those of a page run
# in their order in one folder, which holds photos/, twenty odd-sized images; Python blocks find
# z0 and z1, embeddings of two views.


FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
INDENTED = re.compile(r"(?<=\n\n)((?: {4}.*\n)+)")
PROGRAMS = r"(?:[A-Z_]+=\S+ )?(?:python3?|pytest|eqco|pip|tox) "
INCLUDED = re.compile(r'--8<-- "examples/(\w+)\.py"')  # run at the end

# The first words of a command, and why it is not run here.
NOT_RUN = {
    "pip install": "installs",
    "python3 -m venv": "installs",
    "tox -e benchmark": "takes minutes; tests/benchmark/test_benchmark.py",
    "pytest benchmark -k queue": "the same",
    "tox -e gpu": "needs a CUDA device; tests/benchmark/test_gpu_script.py has its parts",
    "EQCO_IMAGENET=PATH tox": "needs ImageNet; tests/reproductions/experiments/test_imagenet.py",
    "python -m torch.distributed.run --nnodes=2": "needs two nodes; tests/engine/test_launchers.py",
    "eqco train --data glyphs --epochs 10": "takes minutes; tests/cli/test_train.py",
    "eqco diagnose runs/checkpoints/simo": "of that encoder; tests/analysis/test_diagnosis.py",
    "python -m reproductions sweep": "takes hours; tests/reproductions/experiments/test_sweep.py",
    "python -m reproductions records check": "of runs/records; the same file",
    "python -m reproductions check --data folder:PATH": "needs ImageNet",
    "python -m reproductions records add": "tests/reproductions/experiments/test_submissions.py",
    "python -m reproductions pages": "writes pages; tests/reproductions/reports/test_pages.py",
    "pytest reproductions/": "collected above",
}  # fmt: skip


class Block(NamedTuple):
    """A block of a page: "python" or "shell", and its text."""

    kind: str
    text: str


def commands(text: str) -> list[str]:
    """The commands of a block, each on one line."""
    lines = text.replace("\\\n", " ").splitlines()
    return [" ".join(line.split()) for line in lines if re.match(rf"\s*{PROGRAMS}", line)]


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order; what is indented counts where it holds a command."""
    text = page.read_text(encoding="utf-8")
    found = [
        (each.start(), Block("python" if each[1] == "python" else "shell", each[2]))
        for each in FENCE.finditer(text)
        if each[1] in ("python", "bash", "console")
    ]
    rest = FENCE.sub(lambda each: " " * len(each[0]), text)
    found += [(e.start(), Block("shell", e[1])) for e in INDENTED.finditer(rest) if commands(e[1])]
    return [block for _, block in sorted(found)]


WITH_BLOCKS = [page for page in PAGES if blocks(page)]


MAIN = {"eqco": eqco, "python -m reproductions": reproductions}


def run_commands(block: Block) -> None:
    """Run the commands of a block that are not in the list, in this process."""
    for command in commands(block.text):
        if not command.startswith(tuple(NOT_RUN)):
            program = next(each for each in MAIN if command.startswith(each))
            assert MAIN[program](shlex.split(command.removeprefix(program))) == 0, command


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_flat(tmp_path / "photos", 20)
    z0 = torch.randn(64, 16, generator=generator)
    names: dict[str, object] = {"z0": z0, "z1": z0 + 0.3 * torch.randn(z0.shape)}
    for block in blocks(page):
        if block.kind == "shell":
            run_commands(block)
        elif not INCLUDED.fullmatch(block.text.strip()):
            exec(compile(block.text, page.name, "exec"), names)
    assert names.get("loss", torch.ones(())).item() > 0  # type: ignore[attr-defined]


def test_every_file_that_a_page_includes_is_there_and_tested() -> None:
    included = {name for page in PAGES for name in INCLUDED.findall(page.read_text("utf-8"))}
    assert included == {path.stem for path in (ROOT / "examples").glob("*.py")}


def test_the_list_of_what_is_not_run_has_no_stale_line() -> None:
    printed = [each for page in WITH_BLOCKS for b in blocks(page) for each in commands(b.text)]
    for start in NOT_RUN:
        assert any(each.startswith(start) for each in printed), start


# The loops of examples/.

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PEERS = {
    "lightly_simclr": "lightly",
    "lightly_moco": "lightly",
    "metric_learning": "pytorch_metric_learning",
}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_its_loss(path: Path) -> None:
    peer = PEERS.get(path.stem)
    if peer and find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed: pip install -e '.[peers]'")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    launch += ["-m", "tests.programs.gloo"]  # torch may abort the exit where gloo's threads run
    done = python(*(launch if path.stem == "ddp" else []), path)
    losses = [float(text) for text in re.findall(r"loss (\d+\.\d+)", done.stdout)]
    assert len(losses) >= 2
    if path.stem in ("bare_loop", "ddp", "metric_learning"):
        assert losses[-1] < losses[0]


# The notebook: its code runs, it shows what it says, and no output is committed.


SHOWN = """
print(losses.to_json())
print(accuracy.to_json())
print(json.dumps([len(compared), len(figure.axes)]))
"""


def test_the_notebook_runs_in_one_process_and_shows_what_it_says() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)
    program = "\n\n".join(["import json", *("".join(cell["source"]) for cell in code), SHOWN])
    done = python("-c", program, folder=ROOT / "examples", MPLBACKEND="agg")
    losses, accuracy, (rows, axes) = map(json.loads, done.stdout.splitlines())
    infonce, eqco = losses["InfoNCE"], losses["EqCo"]
    assert infonce["255"] - infonce["4"] > 1
    assert abs(eqco["255"] - infonce["255"]) < 0.01
    assert abs(eqco["255"] - eqco["16"]) < (infonce["255"] - infonce["16"]) / 3
    assert len(accuracy) == 7
    assert min(accuracy, key=accuracy.get) == "untrained"
    assert rows >= 3
    assert axes >= 1

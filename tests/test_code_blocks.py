"""Every block of Python and of commands on the pages runs, or stands in one list with its reason.

The blocks of a page run in their order in one folder, which holds `photos/`, twenty odd-sized
images; Python blocks find `z0` and `z1`, embeddings of two views.
"""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from eqco.__main__ import main as eqco
from reproductions.__main__ import main as reproductions
from tests.processes import ROOT, python
from tests.trees import write_flat

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/*.md"))]
PAGES = [page for page in PAGES if page.parent.name != "tests"]
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
    "pytest reproductions/": "tests/test_docs.py collects the cases of each",
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


def test_a_page_without_blocks_and_a_block_that_fails_are_told_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\n1 / 0\n```\n\n    L = -log p\n\n    eqco ls \\\n        runs\n\nend\n"
    )
    found = blocks(page)
    assert [block.kind for block in found] == ["python", "shell"]
    assert commands(found[1].text) == ["eqco ls runs"]
    with pytest.raises(ZeroDivisionError):
        exec(found[0].text)


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

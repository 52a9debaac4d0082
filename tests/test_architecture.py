"""Imports run down only: each module of eqco imports what ranks below it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RANKS = [
    ["theory", "glyphs", "testbeds", "tree"],
    ["contrast", "recipe"],
    ["parallel"],
    ["negatives", "encoder", "views", "data", "record", "checkpoint"],
    ["photometric", "loading"],
    ["simo", "moco", "simclr", "feed"],
    ["pretrain", "probe", "diagnose"],
    ["probe_crops"],
    ["run"],
    ["schedule", "judge"],
    ["report", "export"],
    ["launch", "throughput"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}


def imported(source: str) -> set[str]:
    """Modules of eqco that a source imports, by their last name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            top, _, rest = node.module.partition(".")
            if top == "eqco":
                found |= {rest} if rest else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.partition(".")[2] for a in node.names if a.name.startswith("eqco.")}
    return found & RANK.keys()


def upward(module: str, source: str) -> set[str]:
    """Imports of a module that do not rank below it."""
    return {name for name in imported(source) if RANK[name] >= RANK[module]}


MODULES = sorted(path.stem for path in (ROOT / "eqco").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_down(module: str) -> None:
    assert module in RANK, f"give eqco.{module} its rank"
    assert not upward(module, (ROOT / "eqco" / f"{module}.py").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "line", ["from eqco.report import frame", "import eqco.run", "from eqco import simo"]
)
def test_the_guard_finds_an_import_that_runs_up(line: str) -> None:
    assert upward("theory", line)


def test_the_package_does_not_import_the_tables() -> None:
    for path in (ROOT / "eqco").glob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert "import reproductions" not in source
        assert "from reproductions" not in source

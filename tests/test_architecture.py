"""The import contracts of pyproject.toml can fail; what a line of code loads; public names."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, python

PACKAGES = ("eqco", "reproductions", "figures", "benchmark")
FORBIDDEN = {
    "eqco/losses/logits.py": "from eqco.recipe import Recipe",
    "eqco/runtime/text.py": "def f():\n    import eqco.engine.run",
    "eqco/data/color.py": "from eqco import methods",
    "eqco/config.py": "import reproductions",
    "eqco/recipe.py": "def f():\n    from tests import trees",
    "reproductions/tables/base.py": "import reproductions.reports.pages",
    "eqco/unplaced.py": "",
}


@pytest.mark.parametrize("path", FORBIDDEN)
def test_an_import_upward_or_out_of_the_package_breaks_the_contracts(
    path: str, tmp_path: Path
) -> None:
    pytest.importorskip("importlinter", reason="a tool of the extra lint")
    only_code = shutil.ignore_patterns("__pycache__", "records", "out")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write(f"\n{FORBIDDEN[path]}\n")
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = python("-c", program, status=1, folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert "Contracts: 3 kept, 1 broken." in done.stdout


def modules_after(code: str) -> set[str]:
    """What is imported after a line of code in a fresh process."""
    return set(python("-c", f"import sys; {code}; print(*sys.modules)").stdout.split())


def test_the_package_and_its_command_line_load_without_torch() -> None:
    loaded = modules_after("import eqco, eqco.__main__")
    assert {"eqco", "eqco.__main__"} <= loaded
    assert not loaded & {"torch", "numpy", "matplotlib"}


def test_a_public_name_loads_torch_and_no_images() -> None:
    loaded = modules_after("from eqco import EqCoLoss; EqCoLoss()")
    assert "torch" in loaded
    assert not {name for name in loaded if name.startswith(("eqco.data", "torchvision"))}


def test_public_names_are_those_of_their_modules() -> None:
    import eqco

    assert set(eqco.__all__) == {*eqco.MODULES, "__version__"} == set(dir(eqco))
    for name, module in eqco.MODULES.items():
        assert getattr(eqco, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="module 'eqco' has no attribute 'nothing'"):
        _ = eqco.nothing

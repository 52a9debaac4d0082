"""Dependencies are bounded; slow imports, public names, stated devices."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.lowest import lowest
from tests.processes import ROOT, python


def test_nothing_slow_is_imported_before_it_is_needed() -> None:
    """Modules after each line, in one process."""
    lines = (
        "from eqco.__main__ import main", "from eqco import EqCoLoss; EqCoLoss()",
        "import eqco.engine.run",
    )  # fmt: skip
    listed = "print(*sys.modules)"
    code = "\n".join(["import sys", *(f"{line}\n{listed}" for line in lines)])
    command, loss, run = (set(each.split()) for each in python("-c", code).stdout.splitlines())
    assert not command & {"torch", "numpy", "matplotlib"}
    assert "torch" in loss
    assert not {name for name in loss if name.startswith(("eqco.data", "torchvision"))}
    assert not run & {"torchvision", "kornia", "matplotlib", "scipy", "pandas"}


def test_the_help_of_the_command_takes_less_than_a_second() -> None:
    """Processor time, which other processes of the machine do not lengthen."""
    program = (
        "import sys, time\nfrom eqco.__main__ import main\ntry:\n    main(['--help'])\n"
        "except SystemExit:\n    print(time.process_time(), 'torch' in sys.modules)"
    )
    done = python("-c", program)
    seconds, loaded = done.stdout.splitlines()[-1].split()
    assert (loaded, float(seconds) < 1) == ("False", True)
    assert "exit status:" in done.stdout


def test_public_names_are_those_of_their_modules() -> None:
    import eqco

    assert set(eqco.__all__) == {*eqco.MODULES, "__version__"} == set(dir(eqco))
    for name, module in eqco.MODULES.items():
        assert getattr(eqco, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="module 'eqco' has no attribute 'nothing'"):
        _ = eqco.nothing


def test_every_dependency_has_its_lowest_version() -> None:
    found = lowest()
    assert "torch==2.9" in found
    assert len(found) == len({line.partition("==")[0] for line in found}) > 15


def test_tox_never_takes_the_pip_of_the_host() -> None:
    """tox-uv makes environments without pip, unless it is told to seed them."""
    lines = (ROOT / "tox.ini").read_text(encoding="utf-8").splitlines()
    assert "uv_seed = true" in lines
    assert not [line for line in lines if line.strip().startswith("pip ")]


FACTORIES = {"arange", "as_tensor", "empty", "eye", "full", "linspace", "normal", "ones", "rand"}
FACTORIES |= {"randint", "randn", "randperm", "tensor", "zeros"}


def made_anywhere(source: str) -> list[str]:
    """Calls that make a tensor or a generator on the user's default device."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        text
        for call, text in ((call, ast.unparse(call)) for call in calls)
        if (
            ast.unparse(call.func) in {f"torch.{name}" for name in FACTORIES}
            and not {"device", None} & {each.arg for each in call.keywords}
        )
        or text == "torch.Generator()"
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "eqco").rglob("*.py")), ids=lambda p: p.stem)
def test_every_tensor_is_made_on_a_stated_device(path: Path) -> None:
    """With `torch.set_default_device("cuda")` numbers drawn by a CPU generator would fail."""
    assert made_anywhere(path.read_text(encoding="utf-8")) == []

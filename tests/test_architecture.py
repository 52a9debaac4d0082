"""What a line of code loads, and the public names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def modules_after(code: str, environment: dict[str, str]) -> set[str]:
    """What is imported after a line of code in a fresh process."""
    program = f"import sys; {code}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_package_and_its_command_line_load_without_torch(environment: dict[str, str]) -> None:
    loaded = modules_after("import eqco, eqco.__main__", environment)
    assert {"eqco", "eqco.__main__"} <= loaded
    assert not loaded & {"torch", "numpy", "matplotlib"}


def test_a_public_name_loads_torch_and_no_images(environment: dict[str, str]) -> None:
    loaded = modules_after("from eqco import EqCoLoss; EqCoLoss()", environment)
    assert "torch" in loaded
    assert not {name for name in loaded if name.startswith(("eqco.data", "torchvision"))}


def test_public_names_are_those_of_their_modules() -> None:
    import eqco

    assert set(eqco.__all__) == {*eqco.MODULES, "__version__"} == set(dir(eqco))
    for name, module in eqco.MODULES.items():
        assert getattr(eqco, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="module 'eqco' has no attribute 'nothing'"):
        _ = eqco.nothing

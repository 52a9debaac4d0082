"""Peak memory is of one process; too little of it is told before torch is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import python


@pytest.mark.parametrize("words", ["eqco doctor", "reproductions tables", "figures.law"])
def test_too_little_memory_for_torch_is_one_sentence(words: str, tmp_path: Path) -> None:
    """With less than half of what it needs, where torch raises; with a little more it aborts."""
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9,) * 2); "
        f"sys.argv = {words.split()!r}; runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    error = python("-c", code, status=2, OUT=str(tmp_path)).stderr
    assert error.startswith("error: out of memory: torch cannot start with 1.9 GiB of addresses")
    assert error.count("\n") == 1


def test_the_peak_memory_of_a_process_is_not_that_of_the_one_that_started_it() -> None:
    child = "from eqco.runtime.memory import peak_memory_mib; print(peak_memory_mib())"
    code = (
        "import subprocess, sys; held = bytearray(2**29); "
        f"print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))"
    )
    assert 1 < float(python("-c", code).stdout) < 300

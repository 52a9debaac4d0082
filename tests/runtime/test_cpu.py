"""Granted cores, threads and memory; idle threads sleep, unless the user said how they wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eqco.runtime import cpu
from tests.processes import ROOT, python

# Says what torch finds in the environment when it is first imported.
SPY = """
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.meta_path.remove(self)
            print("torch finds", [os.environ.get(name) or "-" for name in NAMES], file=out)
out = os.fdopen(os.dup(2), "w", buffering=1)  # pytest captures the descriptor itself
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
sys.meta_path.insert(0, Spy())
"""
COMMANDS = {
    "tables": "import pytest; pytest.main(['reproductions', '--collect-only', '-q'])",
    "commands": "import reproductions.__main__",
    "library": "from eqco.__main__ import main; main(['show', 'no-such-file'])",
}


def test_threads_follow_omp_num_threads_and_the_granted_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    for given, expected in (("3", 3), ("", 1), ("0", 1), ("many", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert cpu.default_threads() == expected
    assert cpu.granted_cores() == 1


@pytest.mark.parametrize("given", [None, *cpu.POLICIES])
def test_a_policy_is_chosen_where_the_user_has_none(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in cpu.POLICIES:
        monkeypatch.setenv(name, "7" if name == given else "")
    before = {name: os.environ[name] for name in cpu.POLICIES}
    cpu.sleep_while_waiting()
    after = {name: os.environ[name] for name in cpu.POLICIES}
    assert after == (before if given else {**before, "OMP_WAIT_POLICY": "passive"})


@pytest.mark.parametrize("command", COMMANDS)
def test_torch_is_loaded_after_the_policy_is_set(command: str) -> None:
    done = python("-c", SPY + COMMANDS[command], **dict.fromkeys(cpu.POLICIES, ""))
    assert "torch finds ['passive', '-']" in done.stderr, done.stderr[-2000:]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_a_mask_of_one_core_counts_one() -> None:
    code = "from eqco.runtime.cpu import granted_cores; print(granted_cores())"
    core = min(os.sched_getaffinity(0))
    done = python("-c", f"import os; os.sched_setaffinity(0, [{core}]); {code}")
    assert done.stdout == "1\n"


def test_no_module_counts_the_cores_itself() -> None:
    allowed = {"eqco/runtime/cpu.py", "eqco/cli/doctor.py"}  # doctor shows both numbers
    packages = ("eqco", "reproductions", "figures", "benchmark", "examples")
    files = [file for name in packages for file in (ROOT / name).rglob("*.py")]
    counting = {
        file.relative_to(ROOT).as_posix()
        for file in files
        if any(word in file.read_text("utf-8") for word in ("cpu_count", "sched_getaffinity"))
    }
    assert counting <= allowed


# Peak memory is of one process; too little of it is told before torch is loaded.


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

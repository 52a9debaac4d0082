"""Granted cores and threads; idle threads sleep, unless the user said how they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from eqco.runtime import cpu

ROOT = Path(__file__).resolve().parents[2]
# Says what torch finds in the environment when it is first imported.
SPY = """
import os, sys
class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            sys.meta_path.remove(self)
            print("torch finds", [os.environ.get(name, "-") for name in NAMES], file=out)
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


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2), ("150000 100000", 1), ("5000 100000", 1), ("9900000 100000", 4),
        ("max 100000", 4), ("", 4), (None, 4),
    ],
    ids=str,
)  # fmt: skip
def test_a_quota_of_a_container_grants_fewer_cores(
    quota: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    monkeypatch.setattr(cpu, "GROUPS", tmp_path)
    assert cpu.granted_cores() == expected


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
@pytest.mark.parametrize("spins", [None, "10000"], ids=["unset", "spins"])
def test_torch_is_loaded_after_the_policy_is_set(
    command: str, spins: str | None, environment: dict[str, str]
) -> None:
    clean = {name: text for name, text in environment.items() if name not in cpu.POLICIES}
    done = subprocess.run(
        [sys.executable, "-c", SPY + COMMANDS[command]],
        cwd=ROOT,
        env={**clean, **({"GOMP_SPINCOUNT": spins} if spins else {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    expected = ["-", spins] if spins else ["passive", "-"]
    assert f"torch finds {expected}" in done.stderr, done.stderr[-2000:]

"""Threads of OpenMP sleep while they wait, unless the user said how; set before torch is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eqco.runtime import waiting

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


@pytest.mark.parametrize("given", [None, *waiting.POLICIES])
def test_a_policy_is_chosen_where_the_user_has_none(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in waiting.POLICIES:
        monkeypatch.setenv(name, "7" if name == given else "")
    before = {name: waiting.os.environ[name] for name in waiting.POLICIES}
    waiting.sleep_while_waiting()
    after = {name: waiting.os.environ[name] for name in waiting.POLICIES}
    assert after == (before if given else {**before, "OMP_WAIT_POLICY": "passive"})


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("spins", [None, "10000"], ids=["unset", "spins"])
def test_torch_is_loaded_after_the_policy_is_set(
    command: str, spins: str | None, environment: dict[str, str]
) -> None:
    clean = {name: text for name, text in environment.items() if name not in waiting.POLICIES}
    done = subprocess.run(
        [sys.executable, "-c", SPY + COMMANDS[command]],
        cwd=ROOT,
        env={**clean, **({"GOMP_SPINCOUNT": spins} if spins else {})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    expected = ["-", spins] if spins else ["passive", "-"]
    assert f"torch finds {expected}" in done.stderr, done.stderr[-2000:]

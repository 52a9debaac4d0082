"""The loops of examples/ run, and their losses come out of the loop as numbers."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.processes import ROOT, python

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

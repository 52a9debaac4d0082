"""Work that saves beside its steps, as on a GPU; as a program, until it is killed.

Usage: python -m tests.programs.save_beside CHECKPOINTS
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.engine.trainer import Trainer
from eqco.runtime.resumable import ResumableTask
from reproductions.scales import SCALES


class Numbers(ResumableTask):
    """Work that adds 1 to a million numbers in each step, in place."""

    def __init__(self, steps: int) -> None:
        self.steps, self.numbers = steps, torch.zeros(1_000_000)

    def advance(self) -> float:
        self.numbers += 1
        self.step += 1
        return 0.0

    def state(self) -> dict[str, Any]:
        return {"method": {"numbers": self.numbers}}

    def restore(self, state: dict[str, Any]) -> None:
        self.numbers = state["method"]["numbers"]


def as_on_gpu(folder: Path, steps: int) -> Trainer[Numbers]:
    """A trainer that saves after each step; `torch.cuda.current_stream` must be replaced."""
    machine = Machine(threads=1, device="cuda", checkpoints=folder, checkpoint_seconds=0.0)
    run = Run(SCALES["smoke"].base, 0, machine)
    return Trainer(Numbers(steps), run, folder / "work.pt", "counting")


def stream() -> SimpleNamespace:
    """In the place of a GPU's: what is copied is there at once."""
    return SimpleNamespace(record_event=lambda: SimpleNamespace(synchronize=lambda: None))


if __name__ == "__main__":
    torch.cuda.current_stream = stream  # type: ignore[assignment]
    as_on_gpu(Path(sys.argv[1]), 10**6).train()

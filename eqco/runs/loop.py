"""The resumable training loop, shared by pretraining and the probe on crops."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path

from eqco.distributed import broadcast_flag, rank
from eqco.recipe import Recipe
from eqco.runs.checkpoint import load, save
from eqco.runs.progress import Progress
from eqco.settings import Machine
from eqco.work import Work

# On a GPU the processor must not wait for every step's loss, nor processes agree at every step.
STEPS_BETWEEN_READS = 10


class Loop:
    """Trains a piece of work to its end, from its checkpoint where there is one.

    Args:
        work: what is trained; its `step` is kept here.
        recipe, seed: whose run it is.
        machine: device, and time between checkpoints.
        path: of the checkpoint.
        stage: what progress calls it.

    Attributes:
        seconds: wall time of all sessions of a resumed run together.
        resumed: how often the run was resumed.
    """

    def __init__(
        self, work: Work, recipe: Recipe, seed: int, machine: Machine, path: Path, stage: str
    ) -> None:
        self.work, self.recipe, self.seed, self.machine = work, recipe, seed, machine
        self.path, self.stage = path, stage
        self.seconds, self.resumed = 0.0, 0

    def resume(self) -> None:
        """Continue from the checkpoint, where one is there and fits."""
        if not self.path.exists():
            return
        state = load(self.path, self.recipe.digest(), self.seed)
        if broadcast_flag(self.work.fits(state), self.machine.device):
            self.work.restore(state)
            self.work.step = state["step"]
            self.seconds = state.get("seconds", 0.0)
            self.resumed = state.get("resumed", 0) + 1

    def due(self, seconds: float, before: int) -> bool:
        """Whether to save now; every process follows the first one's clock."""
        step = self.work.step
        if step == self.work.steps:
            return True
        on_gpu = self.machine.device != "cpu"
        if on_gpu and step // STEPS_BETWEEN_READS == before // STEPS_BETWEEN_READS:
            return False
        return broadcast_flag(seconds > self.machine.checkpoint_seconds, self.machine.device)

    def save(self) -> None:
        """Write a checkpoint from the first process; every process must call it."""
        state = {
            "digest": self.recipe.digest(),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "step": self.work.step,
            "seconds": self.seconds,
            "resumed": self.resumed,
            **self.work.state(),
        }
        if rank() == 0:
            save(self.path, state)

    def run(self, progress: Progress | None = None) -> None:
        """Train to the end.

        Raises:
            TrainingError: divergence, or a checkpoint that cannot be used.
        """
        self.resume()
        earlier, started = self.seconds, time.monotonic()
        saved = started
        while self.work.step < self.work.steps:
            before = self.work.step
            value = self.work.advance()
            clock = time.monotonic()
            self.seconds = earlier + clock - started
            if self.due(clock - saved, before):
                self.save()
                saved = clock
            if progress:
                progress(self.stage, self.work.step, self.work.steps, value)

"""The resumable training loop, shared by pretraining and the probe on crops."""

from __future__ import annotations

import time
import warnings
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from signal import SIGTERM
from typing import Generic, TypeVar

from eqco.artifacts.checkpoint import Damaged, earlier, load, set_aside
from eqco.artifacts.record_schema import NOT_NEGATIVE, WHOLE
from eqco.artifacts.run_files import Run
from eqco.engine.progress import Progress
from eqco.engine.saving import Saver
from eqco.runtime.distributed import any_rank, rank, wait, world_size
from eqco.runtime.resumable import ResumableTask
from eqco.runtime.signals import Stopped, deferred, pending
from eqco.runtime.validation import Number, TrainingError, first_line, lacks_memory

# On a GPU the processor must not wait for every step's loss, nor processes agree at every step.
STEPS_BETWEEN_READS = 10


Task = TypeVar("Task", bound=ResumableTask)


class Trainer(Generic[Task]):
    """Trains a task to its end, from its checkpoint where there is one.

    Attributes:
        seconds: wall time of all sessions of a resumed run together.
        resumed: how often the run was resumed.
    """

    def __init__(self, task: Task, run: Run, path: Path, stage: str) -> None:
        self.task, self.run, self.path, self.stage = task, run, path, stage
        self.seconds, self.resumed = 0.0, 0
        self.saver = Saver(path, run.machine.device)

    def resume(self) -> None:
        """Continue from the last checkpoint that can be used, where there is one that fits.

        The first process chooses; the others take the same one.

        Raises:
            TrainingError: there are checkpoints, none of which can be used.
        """
        chosen = self.take_usable() if rank() == 0 else None
        resumes, before = any_rank(chosen is not None, chosen == earlier(self.path))
        if resumes and rank() > 0:
            self.take(earlier(self.path) if before else self.path)

    def take(self, path: Path) -> bool:
        """Continue from a checkpoint; False, and nothing changed, where it is of another task.

        Raises:
            Damaged: it cannot be read, or its content cannot be of this run.
            TrainingError: it belongs to another recipe or seed.
        """
        state = load(path, self.run.recipe.digest(), self.run.seed)
        try:
            if not self.task.fits(state):
                return False
            step = Number(0, self.task.steps, whole=True).check("step", state["step"])
            seconds = NOT_NEGATIVE.check("seconds", state.get("seconds", 0.0))
            resumed = WHOLE.check("resumed", state.get("resumed", 0))
            self.task.step = step
            self.task.restore(state)
        except KeyError as error:
            raise Damaged(f"checkpoint {path} is damaged (it does not hold {error})") from error
        except (AttributeError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if lacks_memory(error):  # the checkpoint is whole
                raise
            raise Damaged(f"checkpoint {path} is damaged ({first_line(error)})") from error
        self.seconds, self.resumed = seconds, resumed + 1
        return True

    def take_usable(self) -> Path | None:
        """Continue from the checkpoint, or where it is damaged from the one before it."""
        before = earlier(self.path)
        if not self.path.exists() and not before.exists():
            return None
        try:
            return self.path if self.take(self.path) else None
        except Damaged as error:
            first = error
        name = self.run.run_id
        if not before.exists():
            raise TrainingError(
                f"{first}, and no earlier one is there: move it away to train {name} from the start"
            ) from first
        try:
            fits = self.take(before)
        except TrainingError as second:
            raise TrainingError(
                f"{first}, and the one before it cannot be used either ({second}): move both away "
                f"to train {name} from the start"
            ) from second
        if self.path.exists():
            first = Damaged(f"{first}, it is kept as {set_aside(self.path)}")
        if fits:
            action = f"continuing from the one before it, {before}, step {self.task.step} of"
            warnings.warn(f"{first}: {action} {self.task.steps}", RuntimeWarning, stacklevel=2)
        return before if fits else None

    def shared_decision(self, seconds: float, before: int) -> tuple[bool, int]:
        """Whether to save now, and the signal that asks the run to stop, or 0; on every process.

        The first process's clock counts. On a GPU processes agree at every tenth step only.
        """
        due, number = seconds > self.run.machine.checkpoint_seconds, pending()
        step = self.task.step
        if world_size() > 1:
            on_gpu = self.run.machine.device != "cpu"
            if on_gpu and step // STEPS_BETWEEN_READS == before // STEPS_BETWEEN_READS:
                due, number = False, 0
            else:
                due, stop = any_rank(due and rank() == 0, number > 0)
                number = (number or SIGTERM) if stop else 0
        return due or step == self.task.steps, number

    def stop(self, number: int) -> None:
        """Raise Stopped, after the first process has saved."""
        self.saver.close()
        wait()
        done = f"step {self.task.step} of {self.task.steps} of {self.stage}"
        name = self.run.run_id
        if self.saver.unsaved:
            raise Stopped(number, f"{name} could not be saved at {done}, {self.saver.unsaved}")
        raise Stopped(number, f"{name} is saved at {done}")

    def save(self) -> None:
        """Write a checkpoint from the first process; every process must call it."""
        state = {
            "digest": self.run.recipe.digest(),
            "recipe": asdict(self.run.recipe),
            "seed": self.run.seed,
            "step": self.task.step,
            "seconds": self.seconds,
            "resumed": self.resumed,
            **self.task.state(),
        }
        if rank() == 0:
            self.saver.save(state, self.task.step == self.task.steps)

    def train(self, progress: Progress | None = None) -> None:
        """Train to the end.

        Raises:
            TrainingError: divergence, or a checkpoint that cannot be used.
            Stopped: by a signal, at the end of a step, whose state is saved.
        """
        self.resume()
        sofar, started = self.seconds, time.monotonic()
        saved = started
        with deferred(), closing(self.saver):
            while self.task.step < self.task.steps:
                before = self.task.step
                value = self.task.advance()
                clock = time.monotonic()
                self.seconds = sofar + clock - started
                due, number = self.shared_decision(clock - saved, before)
                if due or number:
                    self.save()
                    saved = clock
                if number:
                    self.stop(number)
                if progress:
                    progress(self.stage, self.task.step, self.task.steps, value)

"""What a session shows of its runs while they train."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest

from eqco.artifacts.record import Record
from eqco.artifacts.run_files import Run
from eqco.engine.progress import Live
from eqco.engine.run import run
from reproductions.harness.session import Session

TERMINAL = pytest.StashKey[bool]()  # whether a terminal stands behind pytest's capture


class RunLine(Live):
    """The steps, loss and time left of a run as one line of a terminal."""

    def __init__(self, job: Run) -> None:
        recipe = job.recipe
        super().__init__(recipe.batch_size)
        self.name = f"{recipe.method} {recipe.loss} K={recipe.num_negatives} seed {job.seed}"
        self.write("loading data", False)

    def write(self, text: str, last: bool) -> None:
        """Write over the line; the probe follows the last step of training."""
        super().write(f"{self.name}  {'probing' if last else text}", False)


class Display:
    """Shows output of runs despite pytest's capture, and their progress in a terminal.

    With FORCE_COLOR a file gets colours, but no progress line.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.capture = config.pluginmanager.getplugin("capturemanager")
        markup = bool(config.get_terminal_writer().hasmarkup)
        self.visible = markup and config.stash[TERMINAL]

    def uncaptured(self) -> AbstractContextManager[None]:
        """Show what other processes print."""
        return self.capture.global_and_fixture_disabled() if self.capture else nullcontext()

    def train(self, session: Session, job: Run) -> Record | None:
        """Run a job, showing its progress."""
        again = session.policy == "always"
        if not self.visible:
            return run(*job, again=again)
        with self.uncaptured():
            try:
                return run(*job, RunLine(job), again=again)
            finally:
                print("\r\x1b[K", end="", flush=True)

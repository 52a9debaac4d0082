"""Writing checkpoints: at once, or on a GPU beside training."""

from __future__ import annotations

import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from eqco.artifacts.checkpoint import earlier, save


def copied_to_cpu(value: Any) -> Any:
    """A copy of nested tables and lists on the CPU; that of a GPU's tensors is still being made."""
    if torch.is_tensor(value):
        return value.to("cpu", non_blocking=True, copy=True)  # of a GPU's, into pinned memory
    if isinstance(value, dict):
        return {name: copied_to_cpu(inner) for name, inner in value.items()}
    return type(value)(map(copied_to_cpu, value)) if isinstance(value, list | tuple) else value


class Saver:
    """Writes the checkpoints of a run, one after the other.

    Where the system refuses one, as on a full disk, a warning says so, and training goes on.

    Attributes:
        unsaved: why the last checkpoint could not be written; "" where it was.
    """

    def __init__(self, path: Path, device: str) -> None:
        self.path, self.on_gpu = path, device.startswith("cuda")
        self.unsaved = ""
        self.thread = ThreadPoolExecutor(1)
        self.writing: Future[str] | None = None

    def save(self, state: dict[str, Any], done: bool) -> None:
        """Write a checkpoint; on a GPU training goes on, but at the first one and when it is done.

        What training changes meanwhile is copied before: the GPU does both in order.
        """
        self.close()
        if not self.on_gpu or done or not self.path.exists():
            self.note(self.refusal(state), done)
            return
        copy, event = copied_to_cpu(state), torch.cuda.current_stream().record_event()
        self.writing = self.thread.submit(self.refusal, copy, event)

    def close(self) -> None:
        """Wait until the last checkpoint is written."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            self.note(writing.result(), False)

    def refusal(self, state: dict[str, Any], ready: torch.cuda.Event | None = None) -> str:
        """Write a checkpoint; why it could not be written, and what is kept, "" where it was."""
        if ready is not None:
            ready.synchronize()
        try:
            save(self.path, state)
        except OSError as error:
            kept = [path for path in (self.path, earlier(self.path)) if path.exists()]
            last = "the earlier one is kept" if kept else "there is no earlier one"
            return f"checkpoint {self.path} cannot be written ({error.strerror}), {last}"
        return ""

    def note(self, refusal: str, done: bool) -> None:
        """Keep why the last checkpoint could not be written, with a warning."""
        self.unsaved = refusal
        if refusal:
            then = "the work goes on without it" if done else "training goes on, and tries again"
            warnings.warn(f"{refusal}: {then}", RuntimeWarning, stacklevel=2)

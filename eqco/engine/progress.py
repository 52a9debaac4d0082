"""Progress of a run, as lines of text and in words."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence

from eqco.runtime.text import CLEAR

Progress = Callable[[str, int, int, float], None]  # stage, step, steps, loss


def duration(seconds: float) -> str:
    """`41 s`, `12 min`, `3.2 h`, `56 days` or `4 years`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    days = seconds / 86400
    if days < 3:
        return f"{seconds / 3600:.1f} h"
    return f"{days:.0f} days" if days < 730 else f"{days / 365:.0f} years"


def curve(losses: Sequence[float]) -> str:
    """Losses as a line of 50 blocks or fewer, the highest eight times as high as the lowest.

    >>> curve([3.0, 2.0, 1.0])
    '█▅▁'
    """
    losses = losses[:: -(-len(losses) // 50)]
    low = min(losses)
    height = (max(losses) - low) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[int(7 * (loss - low) / height + 0.5)] for loss in losses)


class Log:
    """Progress as lines of text, one in so many seconds, for logs of jobs that nobody watches.

    `images` are those of a step, all processes together.
    """

    def __init__(self, images: int, seconds: float = 60.0) -> None:
        self.images, self.seconds = images, seconds
        self.stage, self.since, self.first, self.printed = "", 0.0, 0, 0.0

    def __call__(self, stage: str, step: int, steps: int, loss: float) -> None:
        """Print where the run is, where it is time to."""
        clock = time.monotonic()
        if stage != self.stage:
            self.stage, self.since, self.first, self.printed = stage, clock, step, clock
            self.write(f"{stage} from step {step} of {steps}", False)
        elif clock - self.printed >= self.seconds or step == steps:
            rate = (step - self.first) / max(clock - self.since, 1e-9)  # steps a second
            self.write(
                f"{stage} {step}/{steps}  loss {loss:.3f}  {rate * self.images:,.0f} images/s  "
                f"{duration((steps - step) / max(rate, 1e-9))} left",
                step == steps,
            )
            self.printed = clock

    def write(self, text: str, last: bool) -> None:
        """Print a line; `last` of a stage."""
        print(text, flush=True)


class Live(Log):
    """Progress as one line of a terminal, written over itself."""

    def write(self, text: str, last: bool) -> None:
        """Write over the line; what is longer than the terminal is cut."""
        width = shutil.get_terminal_size().columns - 1
        print(f"{CLEAR}{text[:width]}", end="\n" if last else "", flush=True)

"""Timing: what is compared runs in turn, and a ratio is the median over the rounds.

On a machine that also does something else, two times measured one after the other can differ by a
factor of two; ratios within a round stay the same.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from eqco.artifacts.environment import installed, processor
from eqco.runtime.cpu import granted_cores

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("torch", "torchvision", "kornia", "lightly", "pytorch-metric-learning", "pillow")
# Processor time where one thread does all the work: what other processes take is not counted.
CPU_TIME, WALL_TIME = time.process_time, time.perf_counter
Step = Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """A call to time.

    Attributes:
        run: does it once.
        images: how many images that handles; times are then for one image.
        rounds: in how many of the rounds it takes part; few for what is slow.
    """

    run: Step
    images: int = 1
    rounds: int = 1000


@dataclass
class Measurement:
    """A measurement, as the table shows it.

    Attributes:
        group, name: what was measured.
        unit: "ms", "s", "images/s", "MiB", or "" for a bare number.
        values: medians in seconds (of one image for a rate), or MiB; "ours", "plain", "limit".
        peers: the same of other libraries.
        times: how many times ours each of the others takes, the median over the rounds.
    """

    group: str
    name: str
    unit: str
    values: dict[str, float]
    peers: dict[str, float] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)


def python(*words: str, timeout: float | None = None) -> str:
    """The output of a Python process that can import this project.

    Raises:
        subprocess.SubprocessError: it fails, or takes longer than `timeout` seconds.
    """
    finished = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=timeout,
    )  # fmt: skip
    return finished.stdout


def machine() -> dict[str, Any]:
    return {
        "device": "cpu",
        "processor": processor(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cores": granted_cores(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: installed(name) for name in LIBRARIES},
    }


def median_row(
    group: str, name: str, unit: str, ours: list[float], others: dict[str, list[float]]
) -> Measurement:
    """A row of median times in seconds, and of the medians of each round's ratio to ours."""
    middle = {key: median(seconds) for key, seconds in others.items()}
    columns = ("plain", "limit")
    return Measurement(
        group,
        name,
        unit,
        {"ours": median(ours), **{k: v for k, v in middle.items() if k in columns}},
        {key: value for key, value in middle.items() if key not in columns},
        {
            key: median(b / max(a, 1e-9) for a, b in zip(ours, seconds, strict=False))
            for key, seconds in others.items()
        },
    )


class Compare:
    """The fixture of every case: measures, and keeps rows for the table.

    Args:
        benchmark: pytest-benchmark's fixture, which times ours.
        rows: where rows go.
        tiny: whether to check only that everything runs: one round.
    """

    def __init__(self, benchmark: BenchmarkFixture, rows: list[Measurement], tiny: bool) -> None:
        self.benchmark, self.rows, self.tiny = benchmark, rows, tiny

    def once(self, run: Step, rounds: int = 1) -> None:
        """Let pytest-benchmark time what measures itself."""
        pedantic: Any = self.benchmark.pedantic
        pedantic(run, rounds=1 if self.tiny else rounds)

    def size(self, full: int, tiny: int) -> int:
        """A size: the full one, or the one with which a case takes no time."""
        return tiny if self.tiny else full

    def keep(self, row: Measurement, **shapes: object) -> Measurement:
        """Put a row into the table and into the JSON of pytest-benchmark."""
        self.rows.append(row)
        kept = self.benchmark.extra_info.setdefault("rows", [])
        kept.append(asdict(row))
        self.benchmark.extra_info.update(shapes=shapes, **machine())
        return row

    def __call__(
        self,
        name: str,
        *,
        ours: Timed,
        plain: Timed | None = None,
        limit: Timed | None = None,
        peers: Mapping[str, Timed | None] | None = None,
        unit: str = "ms",
        rounds: int = 15,
        timer: Callable[[], float] = CPU_TIME,
        **shapes: object,
    ) -> Measurement | None:
        """Time ours and the others in turn.

        Args:
            name: of the row.
            ours, plain, limit: what the columns of the table say.
            peers: other libraries; None where one is not installed.
            unit: of the table.
            rounds: how often ours is timed.
            timer: processor time, or wall time where other processes do the work.
            shapes: sizes, for the JSON.

        Returns:
            The row; None where pytest-benchmark is disabled.
        """
        named = {"plain": plain, "limit": limit, **(peers or {})}
        others = {key: part for key, part in named.items() if part is not None}
        seconds: dict[str, list[float]] = {key: [] for key in others}
        rounds = 1 if self.tiny else rounds
        for part in (ours, *others.values()):  # the first call allocates, and chooses kernels
            if part.rounds >= rounds and not self.tiny:
                part.run()

        def run_others() -> None:
            for key, part in others.items():
                if len(seconds[key]) < part.rounds:
                    start = timer()
                    part.run()
                    seconds[key].append((timer() - start) / part.images)

        self.benchmark.group = self.benchmark.group or "others"
        self.benchmark._timer = timer
        pedantic: Any = self.benchmark.pedantic
        pedantic(ours.run, setup=run_others, rounds=rounds, iterations=1)
        if self.benchmark.stats is None:
            return None
        ours_seconds = [value / ours.images for value in self.benchmark.stats.stats.data]
        row = median_row(self.benchmark.group, name, unit, ours_seconds, seconds)
        return self.keep(row, images=ours.images, rounds=rounds, **shapes)

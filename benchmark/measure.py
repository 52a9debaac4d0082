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
COLUMNS = ("ours", "plain", "limit")
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
        values: medians in seconds (of one image for a rate), or MiB, of `COLUMNS`.
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


class Compare:
    """The fixture of every case: measures, and keeps rows for the table.

    Args:
        benchmark: pytest-benchmark's fixture, which times ours.
        rows: where rows go.
        tiny: whether to check only that everything runs: one round.
    """

    def __init__(self, benchmark: BenchmarkFixture, rows: list[Measurement], tiny: bool) -> None:
        self.benchmark: Any = benchmark  # its methods have no types
        self.rows, self.tiny = rows, tiny

    def size(self, full: int, tiny: int) -> int:
        """A size: the full one, or the one with which a case takes no time."""
        return tiny if self.tiny else full

    def keep(self, row: Measurement) -> None:
        """Put a row into the table and into the JSON of pytest-benchmark."""
        self.rows.append(row)
        self.benchmark.extra_info.update(rows=[asdict(row)], **machine())

    def in_turn(
        self, parts: Mapping[str, Timed], rounds: int, timer: Callable[[], float] = CPU_TIME
    ) -> dict[str, list[float]]:
        """Seconds of each part in each round, of one image; pytest-benchmark times the first part.

        Empty where pytest-benchmark is disabled.
        """
        (first, ours), *others = parts.items()
        seconds: dict[str, list[float]] = {name: [] for name in parts}
        rounds = 1 if self.tiny else rounds
        for part in parts.values():  # the first call allocates, and chooses kernels
            if part.rounds >= rounds and not self.tiny:
                part.run()

        def run_others() -> None:
            for name, part in others:
                if len(seconds[name]) < part.rounds:
                    start = timer()
                    part.run()
                    seconds[name].append((timer() - start) / part.images)

        self.benchmark._timer = timer
        self.benchmark.pedantic(ours.run, setup=run_others, rounds=rounds, iterations=1)
        if self.benchmark.stats is None:
            return {}
        seconds[first] = [value / ours.images for value in self.benchmark.stats.stats.data]
        return seconds

    def __call__(
        self,
        name: str,
        *,
        ours: Timed,
        unit: str = "ms",
        rounds: int = 15,
        timer: Callable[[], float] = CPU_TIME,
        **others: Timed | None,
    ) -> None:
        """Time ours and the others in turn.

        Args:
            name: of the row.
            ours: the suite's code.
            unit: of the table.
            rounds: how often ours is timed.
            timer: processor time, or wall time where other processes do the work.
            others: "plain", "limit" and other libraries by name; None where one is not installed.
        """
        parts = {"ours": ours, **{key: part for key, part in others.items() if part is not None}}
        seconds = self.in_turn(parts, rounds, timer)
        if not seconds:
            return
        middle = {key: median(values) for key, values in seconds.items()}
        own = seconds.pop("ours")
        row = Measurement(
            self.benchmark.group,
            name,
            unit,
            values={key: middle.pop(key) for key in COLUMNS if key in middle},
            peers=middle,
            times={
                key: median(b / max(a, 1e-9) for a, b in zip(own, values, strict=False))
                for key, values in seconds.items()
            },
        )
        self.keep(row)

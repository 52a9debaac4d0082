"""What OpenMP's threads cost, beside other work: python -m benchmark.threads

Prints a table of milliseconds of wall time a glyphs step, and puts it into benchmark/README.md.
Each row is a pair of processes of its own, since OpenMP reads its settings when it is loaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date
from statistics import median

from benchmark.measure import machine  # loads torch before reproductions sets a policy
from benchmark.page import PAGE, put
from benchmark.training import recipe_of, training
from eqco.checks import path_argument
from eqco.cores import granted_cores
from eqco.runs.door import through_door
from eqco.runs.files import write_atomically

MARKS = ("<!-- threads -->", "<!-- end of threads -->")
PASSIVE = {"OMP_WAIT_POLICY": "passive"}
SPINS = (0, 10_000)
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
SETTINGS: dict[str, dict[str, str]] = {  # by the name of the row
    "1 thread": {"OMP_NUM_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2"},
    "2 threads, `OMP_WAIT_POLICY=passive`": {"OMP_NUM_THREADS": "2", **PASSIVE},
    **{
        f"2 threads, `GOMP_SPINCOUNT={spins}`": {
            "OMP_NUM_THREADS": "2",
            "GOMP_SPINCOUNT": str(spins),
        }
        for spins in SPINS
    },
}
# Processes beside the one that is timed: training in the same way, or busy with something else.
SITUATIONS = {
    "alone": (0, 0),
    "two runs at once": (1, 0),
    "one core busy": (0, 1),
    "every core busy": (0, granted_cores()),
}
Trainer = subprocess.Popen[str]


def steps(seconds: float, tiny: bool) -> None:
    """Train for as long as each line of standard input says; print ms a step, the median."""
    sizes = {"batch": 32} if tiny else {}
    work = training(recipe_of("glyphs", "simo", **sizes), "glyphs")
    for _ in range(3):
        work.advance()
    print("ready", flush=True)
    for _ in sys.stdin:
        found, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            work.advance()
            found.append(time.perf_counter() - start)
        print(1000 * median(found), flush=True)


def start_trainer(setting: dict[str, str], words: list[str]) -> Trainer:
    """A process that trains when it is asked to, with settings of OpenMP."""
    environment = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark.threads", "--child", *words],
        env={**environment, **setting},
        cwd=PAGE.parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(trainer: Trainer) -> str:
    """The next line of a trainer.

    Raises:
        RuntimeError: it ended instead.
    """
    assert trainer.stdout is not None
    line = trainer.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"a training process ended with status {trainer.wait()}")
    return line


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep processes busy that have nothing to do with torch."""
    team = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for each in team:
            each.kill()
            each.wait()


def milliseconds(trainers: list[Trainer], others: int) -> float:
    """Ms a step of trainers that start at once, the mean over them, beside busy processes."""
    with busy(others):
        for each in trainers:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        return sum(float(told(each)) for each in trainers) / len(trainers)


def row(setting: dict[str, str], words: list[str], rounds: int) -> list[float]:
    """Ms a step of a setting in each situation, the median over the rounds."""
    with ExitStack() as stack:
        team = [stack.enter_context(start_trainer(setting, words)) for _ in range(2)]
        try:
            for each in team:
                told(each)
            found = [
                [milliseconds(team[: 1 + more], others) for more, others in SITUATIONS.values()]
                for _ in range(rounds)
            ]
        finally:
            for each in team:
                each.kill()
    return [median(column) for column in zip(*found, strict=True)]


def head(load: float) -> str:
    """Date, machine, versions, and whether the machine did something else."""
    info = machine()
    return (
        f"{date.today()}; {info['processor']}, {info['capability']}, {info['cores']} cores; torch "
        f"{info['torch']}. Load average of the minute before: {load:.1f}."
    )


def markdown(rows: dict[str, list[float]]) -> list[str]:
    """The table: a line for each setting, a column for each situation."""
    lines = [f"| ms a glyphs step | {' | '.join(SITUATIONS)} |", "|---|" + "---|" * len(SITUATIONS)]
    return lines + [
        f"| {name} | {' | '.join(f'{value:,.0f}' for value in values)} |"
        for name, values in rows.items()
    ]


def main(words: list[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.threads", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (2)")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many (3)")
    parser.add_argument("--page", type=path_argument, default=PAGE, help="the page to write")
    parser.add_argument("--tiny", action="store_true", help="check only that it runs")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.child:
        steps(given.seconds, given.tiny)
        return 0
    first = head(os.getloadavg()[0])
    options = ["--seconds", str(given.seconds), *(["--tiny"] if given.tiny else [])]
    rows = {name: row(setting, options, given.rounds) for name, setting in SETTINGS.items()}
    text = "\n".join([first, "", *markdown(rows)])
    print(text)
    page = put(given.page.read_text(encoding="utf-8"), text, MARKS)
    write_atomically(given.page, page)
    return 0


if __name__ == "__main__":
    sys.exit(through_door(main))

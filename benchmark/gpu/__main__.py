"""Ten minutes on a CUDA device: is it right, does it wait, and how fast is it?

    python -m benchmark.gpu --data PATH --minutes 10      PATH: an image tree of JPEG files
    python -m benchmark.gpu --device cpu --tiny           the same steps where there is no device

Writes report.json and report.md into --out after every part, so that an end at any time leaves what
is known. A part that fails is reported as such, and the next one begins.

The exit status is the sum of 1 (a part failed) and of the budgets that were missed: 4 waits, 8
launches, 16 images a second; 2 is a wrong command.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch

from benchmark.gpu import correctness, speed, steps
from benchmark.measure import machine
from eqco.cli.errors import run_cli
from eqco.engine.run import settings_of_torch
from eqco.runtime.files import write_atomically
from eqco.runtime.validation import path_argument


@dataclass
class Report:
    """What is known so far.

    Attributes:
        out: folder of report.json and report.md.
        device: "cuda" or "cpu".
        tiny: whether sizes are those of a test.
        data: an image tree, or None.
        until: `time.monotonic()` at the end of the minutes.
        parts: results by name.
    """

    out: Path
    device: str
    tiny: bool
    data: Path | None
    until: float
    parts: dict[str, Any] = field(default_factory=dict)

    @property
    def missed(self) -> dict[str, list[str]]:
        """Budgets that were missed, by part; sizes of a test have none."""
        return {} if self.tiny else steps.missed(self.parts)

    @property
    def seconds_left(self) -> float:
        """Until the minutes are over."""
        return self.until - time.monotonic()

    def add(self, name: str, part: Callable[[Report], dict[str, Any]]) -> None:
        """Do a part, and write everything that is known."""
        start = time.monotonic()
        if self.seconds_left <= 0:
            values: dict[str, Any] = {"left out": "no time was left"}
        else:
            try:
                values = part(self)
            except Exception as error:
                traceback.print_exc()
                values = {"failed": f"{type(error).__name__}: {error}"[:500]}
        values["seconds"] = round(time.monotonic() - start, 1)
        self.parts[name] = values
        self.write()
        print(f"{name}: {json.dumps(values)}", flush=True)

    def write(self) -> None:
        """report.json and report.md, whole or not at all."""
        body = {
            "machine": describe(self.device),
            "tiny": self.tiny,
            "missed": self.missed,
            "parts": self.parts,
        }
        write_atomically(self.out / "report.json", json.dumps(body, indent=1) + "\n")
        lines = ["# EqCo on a device", "", f"{body['machine']}", ""]
        lines += [f"- missed: {line}" for line in chain.from_iterable(self.missed.values())] + [""]
        for name, values in self.parts.items():
            lines += [f"## {name}", "", "| what | value |", "|---|---|"]
            lines += [f"| {key} | {value} |" for key, value in flat(values)] + [""]
        write_atomically(self.out / "report.md", "\n".join(lines))


def flat(values: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Values of nested tables, with their names joined."""
    lines: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += flat(value, f"{before}{key}, ")
        else:
            lines.append((before + key, value))
    return lines


def describe(device: str) -> dict[str, Any]:
    """The machine and its devices."""
    description = {**machine(), "device": device, "cuda": torch.version.cuda}
    if device == "cuda":
        count = torch.cuda.device_count()
        description["devices"] = [torch.cuda.get_device_name(number) for number in range(count)]
    return description


PARTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "CPU and device agree": correctness.agreement,
    "other ways to compute": correctness.variants,
    "two processes": correctness.two_processes,
    "waits a step": steps.waits,
    "launches a step": steps.launches,
    "images a second": steps.rates,
    "matrix rate": speed.matrix_rate,
    "losses": speed.losses,
    "ResNet-50 from files": speed.resnet50,
    "table 1 at CIFAR-10": speed.table1,
}
STATUS = {"waits a step": 4, "launches a step": 8, "images a second": 16}


def main(words: list[str] | None = None) -> int:
    """Do every part; the sum of what failed and of what was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.gpu", description=__doc__)
    parser.add_argument(
        "--data", type=path_argument, help="an image tree of JPEG files; made where missing"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="in all (10)")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="sizes of a test")
    parser.add_argument(
        "--out", type=path_argument, default=Path("runs/gpu"), help="folder of the report"
    )
    args = parser.parse_args(words)
    if args.device == "cuda" and not torch.cuda.is_available():
        print("no CUDA device is there: --device cpu --tiny checks the script", file=sys.stderr)
        return 2
    until = time.monotonic() + 60 * args.minutes
    report = Report(args.out, args.device, args.tiny, args.data, until)
    with settings_of_torch(torch.get_num_threads()):
        for name, part in PARTS.items():
            report.add(name, part)
    for sentence in chain.from_iterable(report.missed.values()):
        print(f"missed: {sentence}")
    failed = any("failed" in values for values in report.parts.values())
    return int(failed) + sum(STATUS[part] for part in report.missed)


if __name__ == "__main__":
    sys.exit(run_cli(main))

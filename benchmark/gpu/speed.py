"""How fast a device is; parts of `benchmark.gpu`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.gpu.steps import image_tree
from benchmark.inputs import LossCase
from benchmark.measure import python
from eqco.config import Machine
from eqco.data.image_folder import scan
from eqco.engine.throughput import seconds_per_call
from eqco.methods import build
from eqco.recipe import Recipe
from eqco.runtime.cpu import granted_cores
from reproductions.experiments.throughput import throughput
from reproductions.scales import SCALES

PASSES = 4  # query forward, twice that backward, key forward


def matrix_rate(report: Any) -> dict[str, Any]:
    """Largest rate of square matrix products, 10^12 operations a second."""
    side = 64 if report.tiny else 8192
    rates = {"side": side}
    for name, kind, fast in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        a, b = (torch.randn(side, side, device=report.device, dtype=kind) for _ in range(2))
        allowed = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = fast
        seconds = seconds_per_call(partial(torch.mm, a, b), report.device, rounds=5)
        torch.backends.cuda.matmul.allow_tf32 = allowed
        rates[name] = float(f"{2 * side**3 / seconds / 1e12:.4g}")  # type: ignore[assignment]
    return rates


def losses(report: Any) -> dict[str, Any]:
    """The benchmark's loss table on the device, ms."""
    milliseconds: dict[str, Any] = {}
    for size in (32,) if report.tiny else (256, 1024, 4096, 16384):
        few, whole = (LossCase(size, negatives, device=report.device) for negatives in (16, 0))
        for name, run in {"K = 16": few.ours, "all": whole.ours, "plain": whole.plain}.items():
            seconds = seconds_per_call(run, report.device, rounds=5, warm_up=2)
            milliseconds[f"N = {size}, {name}"] = round(1000 * seconds, 3)
    return milliseconds


def large(report: Any) -> Recipe:
    """SiMo with ResNet-50 at 224 pixels in bfloat16, K = 16; much smaller in tests."""
    recipe = replace(SCALES["imagenet"].base, num_negatives=16, epochs=1000)
    if report.tiny:
        recipe = replace(
            recipe, backbone="resnet18", image_size=32, batch_size=4, num_negatives=2,
            precision="float32",
        )  # fmt: skip
    return recipe


def resnet50(report: Any) -> dict[str, Any]:
    """Images a second, as `reproductions throughput` measures, and the share of the matrix rate."""
    folder, origin = image_tree(report)
    tree, recipe = scan(folder), large(report)
    workers = 0 if report.tiny else max(1, granted_cores() - 1)
    machine = Machine(device=report.device, threads=torch.get_num_threads(), workers=workers)
    measurement = throughput(recipe, tree, machine, steps=2 if report.tiny else 20)
    counter = FlopCounterMode(display=False)
    side = recipe.image_size or 224
    with torch.no_grad(), counter:
        build(recipe, 0, "cpu").encoder(torch.randn(2, 3, side, side))
    operations = PASSES * counter.get_total_flops() / 2
    peak = report.parts.get("matrix rate", {}).get(recipe.precision, 0)
    rate = measurement["images_per_second"]["training_on_ready_views"]
    return {
        "images a second": measurement["images_per_second"],
        "batch": recipe.batch_size,
        "precision": recipe.precision,
        "10^9 operations an image": round(operations / 1e9, 2),
        "share of the matrix rate": round(rate * operations / 1e12 / peak, 4) if peak else "-",
        "workers": workers,
        "files": origin,
    }


def table1(report: Any) -> dict[str, Any]:
    """Table 1 at CIFAR-10 through pytest for the time that is left; at tiny size it is collected.

    Records and checkpoints stay in --out: the same command goes on with them.
    """
    records = report.out / "records"
    command = ["-m", "pytest", "reproductions", "-k", "table1", "-q"]
    command += ["--scale", "cifar10", "--device", report.device, "--records", str(records)]
    command += ["--checkpoints", str(report.out / "checkpoints")]
    folder = os.environ.get("EQCO_CIFAR10_FOLDER")
    if folder:
        command += ["--data", f"folder:{folder}"]
    if report.tiny:
        command += ["--collect-only", "-p", "no:cacheprovider"]
    ended, output = "in time", ""
    try:
        output = python(*command, timeout=max(1.0, report.seconds_left))
    except subprocess.CalledProcessError as error:
        output = error.stdout
    except subprocess.TimeoutExpired as error:
        ended = "out of time; the same command continues from its checkpoint"
        output = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else ""
    run_ids = [path.stem for path in sorted(records.rglob("*.json"))]
    last = output.strip().splitlines()[-1:] or [""]
    return {"ended": ended, "records": len(run_ids), "runs": ", ".join(run_ids), "pytest": last[0]}

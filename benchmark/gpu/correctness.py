"""Whether a device computes what the CPU computes; parts of `benchmark.gpu`.

python -m benchmark.gpu.correctness OUT DEVICE      losses of a few steps; for torchrun
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.measure import python
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.engine.pretrain import Pretraining
from eqco.engine.throughput import ReadyViews, Views
from eqco.methods import METHODS
from eqco.recipe import Recipe
from eqco.runtime import distributed
from eqco.runtime.files import write_atomically
from reproductions.scales import SCALES

STEPS = 20
# In float64 on the same views: relative to the largest number of each tensor.
TOLERANCE = {"loss": 1e-9, "gradient": 1e-7, "20 steps": 1e-6}
VIEW_TOLERANCE = 1e-4  # of views made on each device in float32
LOW_TOLERANCE = 0.05  # of a loss in bfloat16, relative


def small_recipe(method: str) -> Recipe:
    """A small recipe of a method: the glyphs of the scale "smoke", K = 4."""
    return replace(SCALES["smoke"].baseline(method), num_negatives=4)


def training(recipe: Recipe, device: str, **settings: Any) -> Pretraining:
    """The suite's training on a device; a step returns its own loss."""
    machine = Machine(device=device, threads=torch.get_num_threads(), **settings)
    work = Pretraining(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    work.lag = 0
    return work


def follow(method: str, device: str, views: list[Views]) -> tuple[list[float], dict[str, Tensor]]:
    """Losses of the steps in float64, and every gradient of the first, on the CPU."""
    work = training(small_recipe(method), device)
    work.method.double()
    device_views = [(query.double().to(device), key.double().to(device)) for query, key in views]
    work.images = ReadyViews(work.images.shuffle, device_views)
    losses, gradients = [], dict[str, Tensor]()
    for step in range(len(views)):
        losses.append(work.advance())
        if step == 0:
            for name, value in work.method.encoder.named_parameters():
                assert value.grad is not None
                gradients[name] = value.grad.detach().cpu().clone()
    return losses, gradients


def apart(one: Tensor, other: Tensor) -> float:
    """Largest difference, relative to the largest number."""
    return float((one - other).abs().max() / one.abs().max().clamp(min=1e-12))


def agreement(report: Any) -> dict[str, Any]:
    """Views, loss, every gradient and 20 steps of each method, on the CPU and the device.

    Raises:
        ValueError: they differ by more than the tolerance.
    """
    steps = 3 if report.tiny else STEPS
    differences: dict[str, Any] = {"tolerance": TOLERANCE | {"views": VIEW_TOLERANCE}}
    for method in METHODS:
        source = training(small_recipe(method), "cpu")
        views = [source.images.views(step) for step in range(steps)]
        device_views = training(small_recipe(method), report.device).images.views(0)
        (losses, gradients), (others, other_gradients) = (
            follow(method, device, views) for device in ("cpu", report.device)
        )
        differences[method] = {
            "views": max(apart(a, b.cpu()) for a, b in zip(views[0], device_views, strict=True)),
            "loss": abs(losses[0] - others[0]) / losses[0],
            "gradient": max(apart(value, other_gradients[n]) for n, value in gradients.items()),
            "20 steps": max(abs(a - b) / a for a, b in zip(losses, others, strict=True)),
        }
        for name, value in differences[method].items():
            if not value <= differences["tolerance"][name]:
                raise ValueError(f"{method}: {name} differs by {value:.1e}")
    return differences


def variants(report: Any) -> dict[str, Any]:
    """Autocast, channels last and torch.compile beside float32 in the usual layout.

    Raises:
        ValueError: the loss differs by more than `LOW_TOLERANCE`.
    """
    recipe, losses = small_recipe("simo"), dict[str, Any]()
    views = training(recipe, "cpu").images.views(0)
    low = replace(recipe, precision="bfloat16")
    ways: dict[str, tuple[Recipe, dict[str, Any], Any]] = {
        "float32": (recipe, {}, torch.contiguous_format),
        "channels last": (recipe, {}, torch.channels_last),
        "bfloat16 autocast": (low, {}, torch.channels_last),
        "torch.compile": (recipe, {"compile": True}, torch.channels_last),
    }
    if report.tiny:
        del ways["torch.compile"]
        losses["torch.compile"] = "left out at tiny size"
    for name, (variant, settings, layout) in ways.items():
        work = training(variant, report.device, **settings)
        work.method.to(memory_format=layout)
        query, key = (v.to(report.device).contiguous(memory_format=layout) for v in views)
        losses[name] = work.loss((query, key)).item()
    for name, loss in losses.items():
        if isinstance(loss, float) and abs(loss / losses["float32"] - 1) > LOW_TOLERANCE:
            raise ValueError(f"the loss with {name} is {loss}, {losses['float32']} in float32")
    return losses


def several_steps(device: str) -> dict[str, list[float]]:
    """Losses of a few steps of each method, over all processes, in float32."""
    works = {method: training(small_recipe(method), device) for method in METHODS}
    return {method: [work.advance() for _ in range(5)] for method, work in works.items()}


def launched(processes: int, out: Path, device: str) -> dict[str, list[float]]:
    """`several_steps` in fresh processes, by torchrun."""
    torchrun = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}")
    try:
        python(*torchrun, "-m", "benchmark.gpu.correctness", str(out), device, timeout=240)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr[-400:]) from error
    losses: dict[str, list[float]] = json.loads(out.read_text(encoding="utf-8"))
    return losses


def two_processes(report: Any) -> dict[str, Any]:
    """Losses of two processes by NCCL (gloo on a CPU) beside those of one.

    Raises:
        ValueError: they differ by more than 1e-3.
    """
    devices = torch.cuda.device_count()
    if report.device == "cuda" and devices < 2:
        return {"left out": f"there is {devices} device, and two are needed"}
    one = several_steps(report.device)
    two = launched(2, report.out / "two-processes.json", report.device)
    differences = {
        name: max(abs(a - b) / abs(a) for a, b in zip(losses, two[name], strict=True))
        for name, losses in one.items()
    }
    if max(differences.values()) > 1e-3:
        raise ValueError(f"losses of one and of two processes differ: {differences}")
    return differences


def main() -> None:
    """Write the losses of a few steps; of the first process."""
    torch.set_num_threads(1)
    out, device = Path(sys.argv[1]), distributed.start(sys.argv[2])
    losses = several_steps(device)
    if distributed.rank() == 0:
        write_atomically(out, json.dumps(losses))
    distributed.wait()
    distributed.stop()


if __name__ == "__main__":
    main()

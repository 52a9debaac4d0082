"""How fast a device is; parts of `benchmark.gpu`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.inputs import embeddings, ours_in_batch, plain_in_batch, random_images, write_jpegs
from benchmark.measure import Step
from eqco.cores import granted_cores
from eqco.images.files import FromFiles
from eqco.images.memory import Dataset, InMemory
from eqco.images.tree import scan
from eqco.recipe import Recipe
from eqco.runs.pretrain import Pretraining
from eqco.settings import Machine
from reproductions.scales import SCALES

ROOT = Path(__file__).resolve().parents[1]
PASSES = 4  # query forward, twice that backward, key forward


def seconds(run: Step, device: str, rounds: int = 5, warm_up: int = 2) -> float:
    """Median time of a call, the device's work included."""
    found = []
    for _ in range(warm_up + rounds):
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    return median(found[warm_up:])


def matrix_rate(report: Any) -> dict[str, Any]:
    """Largest rate of square matrix products, 10^12 operations a second."""
    side = 64 if report.tiny else 8192
    found = {"side": side}
    for name, kind, fast in (
        ("float32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bfloat16", torch.bfloat16, False),
    ):
        a, b = (torch.randn(side, side, device=report.device, dtype=kind) for _ in range(2))
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = fast
        taken = seconds(partial(torch.mm, a, b), report.device)
        torch.backends.cuda.matmul.allow_tf32 = before
        found[name] = round(2 * side**3 / taken / 1e12, 3)  # type: ignore[assignment]
    return found


def losses(report: Any) -> dict[str, Any]:
    """The benchmark's loss table on the device, ms."""
    found: dict[str, Any] = {}
    for size in (32,) if report.tiny else (256, 1024, 4096, 16384):
        query = embeddings(size).to(report.device).requires_grad_()
        key, draw = embeddings(size, 1).to(report.device), torch.Generator().manual_seed(0)
        for name, run in {
            "K = 16": partial(ours_in_batch, "infonce", query, key, 16, draw),
            "all": partial(ours_in_batch, "infonce", query, key, size - 1, draw),
            "plain": partial(plain_in_batch, query, key),
        }.items():
            found[f"N = {size}, {name}"] = round(1000 * seconds(run, report.device), 3)
    return found


def large(report: Any) -> Recipe:
    """SiMo with ResNet-50 at 224 pixels in bfloat16, K = 16; much smaller in tests."""
    recipe = replace(SCALES["imagenet"].base, num_negatives=16, epochs=1000)
    if report.tiny:
        recipe = replace(
            recipe, backbone="resnet18", image_size=32, batch_size=4, num_negatives=2,
            precision="float32",
        )  # fmt: skip
    return recipe


def tree_of(report: Any) -> tuple[Path, str]:
    """The given tree of JPEG files, or one made for the purpose; and which it is."""
    if report.data is not None:
        return report.data, "given"
    folder = report.out / "jpegs"
    if not folder.exists():
        write_jpegs(folder, 8 if report.tiny else 512)
    return folder, "made"


def from_files(report: Any) -> Pretraining:
    """Training on JPEG files, decoded by a worker for every core but one."""
    tree, recipe = scan(tree_of(report)[0]), large(report)
    workers = 0 if report.tiny else max(1, granted_cores() - 1)
    machine = Machine(device=report.device, threads=torch.get_num_threads(), workers=workers)
    return Pretraining(recipe, 0, FromFiles(tree, recipe, 0, machine), machine)


class Ready:
    """The same two views at every step."""

    def __init__(self, work: Pretraining) -> None:
        self.shuffle, self.both = work.images.shuffle, work.images.views(0)

    def views(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views that were made before."""
        return self.both


def ready_views(report: Any) -> dict[str, Any]:
    """Images a second on views that are ready, and the share of the measured matrix rate."""
    work = from_files(report)
    work.images = Ready(work)  # type: ignore[assignment]
    batch = work.recipe.batch_size
    rate = batch / seconds(work.advance, report.device, rounds=2 if report.tiny else 20)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        work.method.encoder(work.images.views(0)[0][:2].float())
    operations = PASSES * counter.get_total_flops() / 2
    kind = work.recipe.precision
    most = report.parts.get("matrix rate", {}).get(kind, 0)
    return {
        "images a second": round(rate, 1),
        "batch": batch,
        "precision": kind,
        "10^9 operations an image": round(operations / 1e9, 2),
        "share of the matrix rate": round(rate * operations / 1e12 / most, 4) if most else "-",
    }


def jpeg_files(report: Any) -> dict[str, Any]:
    """Images a second on JPEG files, everything included."""
    work = from_files(report)
    warm_up = 1 if report.tiny else 3 + 2 * work.machine.workers // 4
    taken = seconds(work.advance, report.device, rounds=2 if report.tiny else 10, warm_up=warm_up)
    return {
        "images a second": round(work.recipe.batch_size / taken, 1),
        "workers": work.machine.workers,
        "files": tree_of(report)[1],
    }


def cifar(report: Any) -> dict[str, Any]:
    """Epochs a minute of 50,000 random images of 32 pixels that lie on the device."""
    total = 64 if report.tiny else 50_000
    images, labels = random_images(total, 32), torch.arange(total) % 10
    data = Dataset(images, labels, images[:10], labels[:10], 10, "random")
    recipe = replace(SCALES["cifar10"].base, num_negatives=16)
    if report.tiny:
        recipe = replace(
            recipe, backbone="small-rgb", batch_size=16, num_negatives=4, precision="float32"
        )
    machine = Machine(device=report.device, threads=torch.get_num_threads())
    work = Pretraining(recipe, 0, InMemory(data, recipe, 0, machine), machine)
    steps = 2 if report.tiny else 10

    def several() -> None:
        """Steps without waiting for the device, as in a run."""
        for _ in range(steps):
            work.advance()

    rate = recipe.batch_size * steps / seconds(several, report.device, 2 if report.tiny else 8)
    return {"images a second": round(rate, 1), "epochs a minute": round(60 * rate / 50_000, 2)}


def table1(report: Any) -> dict[str, Any]:
    """Table 1 at CIFAR-10 through pytest for the time that is left; at tiny size it is collected.

    Records and checkpoints stay in --out: the same command goes on with them.
    """
    records = report.out / "records"
    command = [sys.executable, "-m", "pytest", "reproductions", "-k", "table1", "-q"]
    command += ["--scale", "cifar10", "--device", report.device, "--records", str(records)]
    command += ["--checkpoints", str(report.out / "checkpoints")]
    folder = os.environ.get("EQCO_CIFAR10_FOLDER")
    if folder:
        command += ["--data", f"folder:{folder}"]
    if report.tiny:
        command += ["--collect-only", "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended, output = "in time", ""
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
            timeout=max(1.0, report.left),
        )  # fmt: skip
        output = done.stdout
    except subprocess.TimeoutExpired as error:
        ended = "the time was over; the same command goes on from its checkpoint"
        output = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else ""
    found = [path.stem for path in sorted(records.rglob("*.json"))]
    last = output.strip().splitlines()[-1:] or [""]
    return {"ended": ended, "records": len(found), "runs": ", ".join(found), "pytest": last[0]}

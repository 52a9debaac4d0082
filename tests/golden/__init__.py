"""Short runs whose numbers are kept to the bit: what says that a change changed no number.

    python -m tests.golden          compares; --write keeps what this machine computes

A run takes 20 steps, in float32 on one thread, and is probed. The numbers depend on torch, on the
processor's instructions and on the drawn pixels, so each such platform has an entry of its own.
"""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import glyphs
from eqco.data.image_folder import identity
from eqco.engine.run import run
from eqco.recipe import Recipe
from reproductions.scales import SCALES

KEPT = Path(__file__).with_name("golden.json")
SEED = 3
Outcome = dict[str, Any]

GLYPHS = replace(
    SCALES["smoke"].base, data_part=0.068, epochs=1, num_negatives=16, probe_epochs=3
)  # 143 classes, 1,287 images: 20 steps of 64
PHOTOS = replace(
    GLYPHS, data="folder", data_part=1.0, views="photos", crop_scale=0.2, backbone="small-rgb",
    batch_size=16, num_negatives=7, epochs=5, loss="dcl",
)  # fmt: skip
FILES = replace(
    SCALES["imagenet"].base, data="part", backbone="resnet18", image_size=32, batch_size=16,
    num_negatives=15, epochs=5, probe_epochs=3, precision="float32", probe_learning_rate=1.0,
)  # fmt: skip
RECIPES: dict[str, Recipe] = {
    "simo": replace(GLYPHS, loss="eqco", alpha=64.0),
    "moco": replace(
        GLYPHS, method="moco", queue_size=100, bn_splits=4, projector="mlp", drawing="shared"
    ),
    "simclr": replace(GLYPHS, method="simclr", loss="dual_temperature", second_temperature=1.0),
    "photos": PHOTOS,
    "files": FILES,
}


def write_pictures(folder: Path) -> Path:
    """64 training and 16 held-out PNG pictures of four classes; returns the folder."""
    draw = np.random.default_rng(0)
    for split, each in (("train", 16), ("val", 4)):
        for label in range(4):
            (folder / split / str(label)).mkdir(parents=True)
            for place in range(each):
                coarse = draw.integers(0, 160, size=(5, 5, 3)) + 24 * label
                pixels = np.kron(coarse, np.ones((8, 8, 1))).astype(np.uint8)  # 40 x 40
                Image.fromarray(pixels).save(folder / split / str(label) / f"{place}.png")
    return folder


def platform_name() -> str:
    """What the bits depend on: torch, instructions, the processor's maker, the drawn pixels."""
    lines = Path("/proc/cpuinfo")
    text = lines.read_text(encoding="utf-8") if lines.exists() else ""
    makers = [line.split(":")[1].strip() for line in text.splitlines() if "vendor_id" in line]
    maker = makers[0] if makers else platform.machine()
    torch_version = torch.__version__.partition("+")[0]
    capability = torch.backends.cpu.get_cpu_capability()
    return f"torch {torch_version}, {capability}, {maker}, glyphs {glyphs.fingerprint()}"


def outcome(name: str, folder: Path) -> Outcome:
    """Losses of all steps, metrics and diagnostics as exact text, and a hash of the weights."""
    recipe, data = RECIPES[name], folder / "data" / "pictures"
    if recipe.data in ("folder", "part"):
        if not data.exists():
            write_pictures(data)
        recipe = replace(recipe, data=f"{recipe.data}:{identity(data)}")
    machine = Machine(threads=1, data_dir=data, checkpoints=folder / name)
    record = run(recipe, SEED, machine, folder / name)
    assert record is not None
    state = torch.load(Run(recipe, SEED, machine).checkpoint, weights_only=True)["method"]
    digest = hashlib.sha256()
    for value in state.values():
        digest.update(value.contiguous().numpy().tobytes())
    assert len(record.curve["loss"]) == 20
    return {
        "losses": [loss.hex() for loss in record.curve["loss"]],
        "metrics": {key: value.hex() for key, value in record.metrics.items()},
        "diagnostics": {key: value.hex() for key, value in record.diagnostics.items()},
        "weights": digest.hexdigest()[:16],
    }


def kept() -> dict[str, dict[str, Outcome]]:
    """What is kept, by platform and run."""
    found: dict[str, dict[str, Outcome]] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def first_losses(found: Outcome) -> list[float]:
    """Losses of the first steps: other processors round differently, and training amplifies it."""
    return [float.fromhex(text) for text in found["losses"][:3]]

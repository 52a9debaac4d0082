"""`eqco embed`: embeddings or features as an array, and a picture of nearest neighbours.

N images, D dimensions of an embedding, F features, S pixels of a small picture's side.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from eqco.analysis.diagnosis import embed
from eqco.artifacts.pretrained import load_backbone, trained_encoder
from eqco.cli.options import print_json
from eqco.cli.probe import opened
from eqco.config import Machine
from eqco.data import Images, in_memory
from eqco.data.image_folder import ImageTree, scan_unlabelled
from eqco.engine.launchers import choose_device
from eqco.evaluation.features import Frozen
from eqco.losses.tensors import unit
from eqco.runtime.files import check_writable, write_atomically
from eqco.runtime.validation import one_line

ROWS, COLUMNS, SIDE = 8, 9, 64  # of the picture: images, each with its neighbours; S
NAMES = ".names.txt"  # in place of .npy
GAP = 2  # white pixels around each small picture


def check_outputs(options: argparse.Namespace) -> None:
    """Raise ValueError where no file is asked for, or one of another kind."""
    if not options.out and not options.picture:
        raise ValueError("give --out FILE.npy, --picture FILE.png or both")
    for name, path, ending in (("out", options.out, ".npy"), ("picture", options.picture, ".png")):
        if path and path.suffix != ending:
            raise ValueError(f"--{name} {path}: the name of its file ends in {ending}")
        if path:
            check_writable(path.parent)


def views_of(options: argparse.Namespace, images: Images, device: str) -> tuple[Tensor, str]:
    """Embeddings (2, N, D) of two random views, of length 1, and the command that reads them."""
    method, recipe, _ = trained_encoder(options.checkpoint)
    command = f"eqco diagnose {quote(str(options.out))} --temperature {recipe.temperature:g}"
    return torch.stack(embed(method.to(device), images, options.images)), f"next: {command}"


def small_pictures(tree: ImageTree | None, rows: list[int]) -> Tensor:
    """Images of a tree, or glyphs, as uint8 (len(rows), 3, S, S)."""
    if tree is not None:
        return in_memory.read_images([tree.train.path(row) for row in rows], SIDE)
    gray = in_memory.glyph_set(1.0).train_images[rows].expand(-1, 3, -1, -1)
    return F.interpolate(gray.float(), SIDE).byte()


def neighbours(features: Tensor) -> Tensor:
    """Places (R, C) of a few images and of those with the most similar features (N, F)."""
    directions, total = unit(features), len(features)
    count = min(ROWS, total)
    rows = torch.arange(count, device=features.device) * total // count
    cosines = directions[rows] @ directions.T
    cosines.scatter_(1, rows[:, None], 2.0)  # each image first, whatever copies there are
    return cosines.topk(min(COLUMNS, total)).indices


def draw(places: Tensor, tree: ImageTree | None, path: Path) -> None:
    """Write a PNG: a line for each image, which stands first, its nearest neighbours behind it."""
    small = small_pictures(tree, places.flatten().tolist())
    framed = F.pad(small, (GAP, GAP, GAP, GAP), value=255)
    grid = framed.view(*places.shape, *framed.shape[1:])
    sheet = grid.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (R S, C S, 3)
    stream = io.BytesIO()
    Image.fromarray(sheet.numpy()).save(stream, "PNG")
    write_atomically(path, stream.getvalue())


def write_array(path: Path, array: Tensor, names: list[Path]) -> None:
    """Write an array as .npy, and the names of its rows, where there are, beside it."""
    stream = io.BytesIO()
    np.save(stream, array.cpu().numpy())
    write_atomically(path, stream.getvalue())
    if names:
        lines = "".join(f"{one_line(name)}\n" for name in names)
        write_atomically(path.with_suffix(NAMES), lines)


def main(options: argparse.Namespace) -> None:
    """Embed, write, and say what was written."""
    check_outputs(options)
    machine = Machine(choose_device(options.device), options.threads, workers=options.workers)
    torch.set_num_threads(options.threads)
    tree = scan_unlabelled(options.data, 1) if options.data else None
    loaded = load_backbone(options.checkpoint)
    if loaded.recipe is None and options.out and not options.features:
        raise ValueError(f"{options.checkpoint} has a backbone and no embeddings: give --features")
    images, _ = opened(loaded, tree, options.image_size, machine)
    summary: dict[str, Any] = {}
    lines: list[str] = []
    if options.features or options.picture:
        frozen = Frozen(loaded.backbone.to(machine.device))
        features, _ = frozen.of_batches(images.whole("train"))
    if options.out:
        following = f"its rows are named in {options.out.with_suffix(NAMES)}"
        if options.features:
            array = features
        else:
            array, following = views_of(options, images, machine.device)
        write_array(options.out, array, tree.train.paths() if tree and options.features else [])
        summary |= {"out": str(options.out), "shape": list(array.shape)}
        lines.append(f"{options.out}: {tuple(array.shape)}; {following}")
    if options.picture:
        draw(neighbours(features.cpu()), tree, options.picture)
        summary["picture"] = str(options.picture)
        text = "a line for each of a few images, nearest neighbours behind it"
        lines.append(f"{options.picture}: {text}")
    if options.json:
        print_json(summary)
    else:
        print(*lines, sep="\n")

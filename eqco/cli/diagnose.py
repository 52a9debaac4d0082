"""`eqco diagnose`: how small K may be for a trained encoder, or for a file of embeddings."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from eqco.analysis import diagnosis
from eqco.analysis.embedding_files import (
    NUMPY,
    TEMPERATURE,
    read_content,
    read_embeddings,
    similarities,
)
from eqco.artifacts.checkpoint import is_checkpoint
from eqco.artifacts.pretrained import trained_encoder
from eqco.artifacts.record import Record
from eqco.cli.options import print_json
from eqco.config import Machine
from eqco.data import find_source, open_images

ENDINGS = (".pt", ".pth", *NUMPY)


class Case(NamedTuple):
    """Cosines (N,) and (N, M), the embeddings' dimension, what they are of, the temperature."""

    positive: Tensor
    negatives: Tensor
    dimension: int
    title: str
    temperature: float
    note: str = ""


def of_embeddings(options: argparse.Namespace) -> Case:
    """Cosines of a file of embeddings.

    Raises:
        ValueError: it holds no embeddings.
    """
    query, key = read_embeddings(options.checkpoint)
    count = min(options.images, len(query))
    positive, negatives = similarities(query[:count], None if key is None else key[:count])
    note = "" if key is not None else (
        "No positives in the file: they are taken at cosine -1, where the gap is largest, so\n"
        "this K is enough whatever they are."
    )  # fmt: skip
    title = f"{options.checkpoint.name}: {count} embeddings"
    temperature = options.temperature or TEMPERATURE
    return Case(positive, negatives, query.shape[1], title, temperature, note)


def of_encoder(options: argparse.Namespace) -> Case:
    """Cosines of an encoder on its own images.

    Raises:
        ValueError: the images are not those of the encoder.
    """
    known = Record.read(options.record).recipe if options.record else None
    method, recipe, seed = trained_encoder(options.checkpoint, known)
    own_tree = find_source(recipe.data).identify is not None
    if options.data and recipe.data == "glyphs":
        raise ValueError("the encoder was trained on glyphs, which are drawn: leave --data out")
    if own_tree and not options.data:
        raise ValueError(f"the encoder was trained on {recipe.data}: give --data with its folder")
    images = open_images(recipe, seed, Machine(data_dir=options.data or Path("data")))
    query, key = diagnosis.embed(method, images, options.images)
    temperature = options.temperature or recipe.temperature
    title = f"{recipe.run_id(seed)}: {len(query)} images of {recipe.data}"
    return Case(*similarities(query, key), query.shape[1], title, temperature)


def holds_embeddings(file: Path) -> bool:
    """Whether a file is to be read as embeddings rather than as a checkpoint."""
    try:
        return file.suffix in NUMPY or not is_checkpoint(read_content(file))
    except ValueError as error:
        if file.suffix not in ENDINGS:
            raise ValueError(f"{error}; diagnose reads files in {', '.join(ENDINGS)}") from error
        return False  # the reader of checkpoints says what is wrong with it


def main(options: argparse.Namespace) -> None:
    """Print how small K may be: CV^2, loss gaps at each K."""
    case = of_embeddings(options) if holds_embeddings(options.checkpoint) else of_encoder(options)
    available = case.negatives.shape[1]
    counts = diagnosis.capped(options.negatives, available)
    result = diagnosis.diagnose(
        case.positive,
        case.negatives,
        temperature=case.temperature,
        alpha=options.alpha,
        counts=counts,
        tolerance=options.tolerance,
        dimension=case.dimension,
    )
    if options.json:
        summary = {"of": case.title, "note": case.note, "dimension": case.dimension}
        summary["temperature"] = case.temperature
        print_json(summary | diagnosis.as_json(result, alpha=options.alpha))
        return
    print(f"{case.title}, d {case.dimension}, t {case.temperature:g}\n")
    print(diagnosis.report(result, alpha=options.alpha))
    cut = [str(k) for k in options.negatives if k >= available]
    if cut:
        print(f"K of {', '.join(cut)} is cut to {available - 1}: there are {available} negatives.")
    if case.note:
        print(case.note)

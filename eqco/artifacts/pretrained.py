"""Backbones from files of weights: this suite's checkpoints, and ResNets of other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eqco.artifacts.checkpoint import check_finite, is_checkpoint, read_trained
from eqco.methods import build
from eqco.methods.base import Method
from eqco.methods.encoder import BACKBONES, torchvision_resnet
from eqco.recipe import Recipe
from eqco.runtime.tensor_files import load_tensors
from eqco.runtime.text import plain
from eqco.runtime.validation import TrainingError, check_name

OTHERS = ("resnet34", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d")
# In names of a second network, which is not the query's.
KEY_SIDE = ("_k.", "momentum", "teacher", "target", "ema.")


def architectures() -> dict[str, Callable[[], nn.Module]]:
    """Functions that build each backbone that can be recognised, by name."""
    others = {name: partial(torchvision_resnet, name, small_images=False) for name in OTHERS}
    return {**BACKBONES, **others}


@dataclass(frozen=True)
class PretrainedBackbone:
    """A backbone with its weights; `recipe` is None where another program trained it."""

    backbone: nn.Module
    name: str
    recipe: Recipe | None = None
    seed: int = 0

    @property
    def channels(self) -> int:
        """Of the images it takes."""
        return int(next(self.backbone.parameters()).shape[1])

    @property
    def image_size(self) -> int:
        """Side of the images it was trained on, as far as known; 224 or 32 for foreign weights."""
        if self.recipe is not None:
            return self.recipe.image_size or 32
        return 32 if self.name.startswith("small") or self.name.endswith("small-images") else 224


def tensors_of(state: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors in what a file holds, those of inner tables behind the names of these."""
    tensors: dict[str, Tensor] = {}
    for key, value in state.items() if isinstance(state, dict) else ():
        if isinstance(value, Tensor):
            tensors[f"{prefix}{key}"] = value
        else:
            tensors |= tensors_of(value, f"{prefix}{key}.")
    return tensors


def is_weight(value: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor of a file can be a weight: an ordinary one of the same shape and kind."""
    is_plain = value.layout == torch.strided and not (value.is_nested or value.is_quantized)
    is_real = value.is_floating_point() or not (wanted.is_floating_point() or value.is_complex())
    return is_plain and is_real and not value.is_meta and value.shape == wanted.shape


def prefixes(state: dict[str, Tensor], marker: str) -> list[str]:
    """What stands before the backbone's own names, such as "module.encoder_q."; queries first."""
    candidates = {key.removesuffix(marker) for key in state if key.endswith(marker)}
    whole = [prefix for prefix in candidates if not prefix or prefix.endswith(".")]
    return sorted(whole, key=lambda p: (any(part in p for part in KEY_SIDE), len(p), p))


def matched(
    state: dict[str, Tensor], architecture: Callable[[], nn.Module]
) -> dict[str, Tensor] | None:
    """The weights of an architecture in a state, under its own names; None where they differ."""
    with torch.device("meta"):
        wanted = architecture().state_dict()
    parts = {key.partition(".")[0] for key in wanted}
    # Early versions of torch did not count the batches.
    needed = {key for key in wanted if not key.endswith("num_batches_tracked")}
    for prefix in prefixes(state, next(iter(wanted))):
        renamed = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        inside = {k: v for k, v in renamed.items() if k in wanted and is_weight(v, wanted[k])}
        rest = {key.partition(".")[0] for key in renamed.keys() - inside.keys()}
        if needed <= inside.keys() and not rest & parts:  # a head may stand beside
            return inside
    return None


def foreign_backbone(path: Path, state: Any, wanted: str | None) -> PretrainedBackbone:
    """A backbone of another program's weights, recognised by names and shapes.

    Raises:
        ValueError: the weights are of no known backbone, or not of the one asked for; one is not
            finite.
    """
    weights, known = tensors_of(state), architectures()
    for name in [wanted] if wanted else list(known):
        weights_of_name = matched(weights, known[name])
        if weights_of_name is not None:
            try:
                check_finite(weights_of_name, path)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            backbone = known[name]()
            backbone.load_state_dict(weights_of_name)
            return PretrainedBackbone(backbone, name)
    first = plain(", ".join(list(weights)[:3])) or "no tensor"
    raise ValueError(
        f"{path} holds no weights of {wanted or 'a known backbone'} (it has {first}): known are "
        f"{', '.join(known)} with torchvision's names, under any prefix"
    )


def trained_encoder(path: Path, recipe: Recipe | None = None) -> tuple[Method, Recipe, int]:
    """The method in a checkpoint, its recipe and seed; early checkpoints hold no recipe.

    Raises:
        TrainingError: the file is missing, damaged, of another recipe, or does not hold its recipe.
    """
    state = read_trained(path, "digest", "seed", "method")
    digest, seed, weights = state["digest"], state["seed"], state["method"]
    if recipe is None and "recipe" not in state:
        raise TrainingError(f"checkpoint {path} does not hold its recipe: give --record with it")
    try:
        recipe = recipe or Recipe.of(state["recipe"])
    except ValueError as error:
        raise TrainingError(f"checkpoint {path} is damaged ({error})") from error
    if recipe.digest() != digest:
        raise TrainingError(
            f"checkpoint {path} is of recipe {digest}, the record of {recipe.digest()}"
        )
    method = build(recipe, seed, "cpu")
    try:
        method.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"checkpoint {path} has weights that do not fit its recipe") from error
    return method, recipe, seed


def load_backbone(path: Path, wanted: str | None = None) -> PretrainedBackbone:
    """The backbone in a checkpoint of this suite or in a file of weights.

    `wanted` names the architecture of foreign weights; None recognises it.

    Raises:
        ValueError: the file cannot be read, or holds no known backbone.
        TrainingError: see `trained_encoder`.
    """
    if wanted:
        check_name("backbone", wanted, architectures())
    try:
        state = load_tensors(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ValueError(f"{path} cannot be read ({why})") from error
    if not is_checkpoint(state):
        return foreign_backbone(path, state, wanted)
    method, recipe, seed = trained_encoder(path)
    return PretrainedBackbone(method.encoder.backbone, recipe.backbone, recipe, seed)

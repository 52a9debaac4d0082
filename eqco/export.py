"""Export of backbones with the parameter names of torchvision or of facebookresearch/moco."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eqco.checks import TrainingError, check_name
from eqco.methods.encoder import BACKBONES
from eqco.recipe import Recipe
from eqco.runs.checkpoint import read_trained
from eqco.runs.files import check_writable, write_atomically

LAYOUTS = ("torchvision", "moco")


def backbone_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """State of the query encoder's backbone in a checkpoint, and the backbone's name.

    Raises:
        ValueError: the file is missing, damaged, or no checkpoint of ours; or the backbone is not
            one of torchvision's.
    """
    try:
        state = read_trained(path, "method", "recipe")
    except TrainingError as error:
        raise ValueError(f"{error}: give a checkpoint of this suite") from error
    try:
        weights, name = state["method"], Recipe.of(state["recipe"]).backbone
    except ValueError as error:
        raise ValueError(f"checkpoint {path} is damaged ({error})") from error
    resnets = [each for each in BACKBONES if each.startswith("resnet")]
    if name not in resnets:
        raise ValueError(
            f"backbone {name!r} is not torchvision's: only {', '.join(resnets)} export"
        )
    prefix = "encoder.backbone."
    own = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not own:
        raise ValueError(f"checkpoint {path} holds no weights of a backbone")
    return own, name


def exported(state: dict[str, Tensor], name: str, layout: str) -> dict[str, Any]:
    """A backbone's state in another layout.

    Args:
        state: of the backbone, torchvision's names without `fc`.
        name: of the backbone, such as "resnet50" or "resnet18-small-images".
        layout: "torchvision", a plain state dict that loads with all but `fc.weight` and
            `fc.bias`; or "moco", a checkpoint whose `state_dict` has `module.encoder_q.` names, as
            that project's `main_lincls.py` reads them.

    Raises:
        ValueError: the layout is unknown.
    """
    check_name("layout", layout, LAYOUTS)
    if layout == "torchvision":
        return dict(state)
    queries = {f"module.encoder_q.{key}": value for key, value in state.items()}
    return {"arch": name.partition("-")[0], "state_dict": queries}


def export(checkpoint: Path, layout: str, out: Path) -> None:
    """Write the query backbone of a checkpoint in another layout, atomically."""
    check_name("layout", layout, LAYOUTS)
    if not out.name or out.is_dir():
        raise ValueError(f"export writes a file, {str(out)!r} is a folder: name a file in it")
    check_writable(out.parent)
    state, name = backbone_state(checkpoint)
    body = exported(state, name, layout)
    write_atomically(out, lambda stream: torch.save(body, stream))

"""Export of backbones with the parameter names of torchvision, timm or facebookresearch/moco."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from eqco.artifacts.checkpoint import read, read_trained, write_tensors
from eqco.methods.encoder import BACKBONES
from eqco.recipe import Recipe
from eqco.runtime.files import check_apart, check_writable
from eqco.runtime.validation import TrainingError, check_name

LAYOUTS = ("torchvision", "timm", "moco", "own")  # torchvision and timm have the same
SMALL_IMAGES = "-small-images"  # end of the names of ResNets with a stem for 32 pixels
STEM = (
    "model.conv1 = torch.nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)",
    "model.maxpool = torch.nn.Identity()",
)


@dataclass(frozen=True)
class Written:
    """A file that an export wrote: a backbone with parameter names of a layout."""

    path: Path
    backbone: str
    layout: str
    tensors: int
    parameters: int

    @property
    def loading(self) -> tuple[str, ...]:
        """Lines of Python that load the file."""
        if self.layout == "moco":
            return (f"# main_lincls.py -a {self.backbone} --pretrained {self.path}",)
        load = f"model.load_state_dict(torch.load({json.dumps(str(self.path))}))"
        if self.layout == "own":
            return (
                "from eqco.methods.encoder import BACKBONES",
                f'model = BACKBONES["{self.backbone}"]()',
                load,
            )
        arch, small = self.backbone.removesuffix(SMALL_IMAGES), SMALL_IMAGES in self.backbone
        timm = f"timm.create_model('{arch}', num_classes=0)"
        made = timm if self.layout == "timm" else f"torchvision.models.{arch}()  # or {timm}"
        if self.layout == "torchvision":
            load = f"{load[:-1]}, strict=False)  # all but fc"
        return (f"model = {made}", *(STEM if small else ()), load)

    def __str__(self) -> str:
        named = "this suite's own" if self.layout == "own" else f"{self.layout}'s"
        lines = [
            f"wrote {self.path}: {self.backbone}, {self.tensors} tensors, {self.parameters:,} "
            f"parameters, {named} names"
        ]
        if SMALL_IMAGES in self.backbone:
            lines.append("its stem is of images of 32 pixels: set these two layers before loading")
        return "\n".join([*lines, *(f"    {line}" for line in self.loading)])


def backbone_state(path: Path) -> tuple[dict[str, Tensor], str]:
    """State of the query encoder's backbone in a checkpoint, and the backbone's name.

    Raises:
        ValueError: the file is missing, damaged, or no checkpoint of ours.
    """
    try:
        state = read_trained(path, "method", "recipe")
    except TrainingError as error:
        raise ValueError(f"{error}: give a checkpoint of this suite") from error
    try:
        weights, name = state["method"], Recipe.of(state["recipe"]).backbone
    except ValueError as error:
        raise ValueError(f"checkpoint {path} is damaged ({error})") from error
    prefix = "encoder.backbone."
    backbone = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not backbone:
        raise ValueError(f"checkpoint {path} holds no weights of a backbone")
    return backbone, name


def chosen_layout(name: str, layout: str | None) -> str:
    """The layout of a backbone: as asked for, else torchvision's, or our own where it has none.

    Raises:
        ValueError: the backbone does not have the layout.
    """
    resnets = [backbone for backbone in BACKBONES if backbone.startswith("resnet")]
    if layout not in (None, "own") and name not in resnets:
        raise ValueError(
            f"backbone {name!r} is not one of torchvision or timm: train with --backbone "
            f"{', '.join(resnets[:-1])} or {resnets[-1]}, or leave --to out for our own names"
        )
    if layout == "moco" and name.endswith(SMALL_IMAGES):
        raise ValueError(
            f"backbone {name!r} has a stem of 3x3 for images of 32 pixels, which moco's "
            "main_lincls.py does not build: use --to torchvision"
        )
    return layout or ("torchvision" if name in resnets else "own")


def check_no_checkpoint(out: Path) -> None:
    """Raise ValueError where a file is a checkpoint, which only its run may replace."""
    with suppress(TrainingError):
        read(out, "method", "recipe")
        raise ValueError(f"{out} is the checkpoint of a run: name another file")


def export(checkpoint: Path, layout: str | None, out: Path) -> Written:
    """Write the query backbone of a checkpoint, atomically.

    `layout` is a name in LAYOUTS; None chooses torchvision's where the backbone is one of its.

    Raises:
        ValueError: the checkpoint cannot be read, the backbone does not have the layout, or `out`
            is the checkpoint, or that of another run.
    """
    if layout is not None:
        check_name("layout", layout, LAYOUTS)
    if not out.name or out.is_dir():
        raise ValueError(f"export writes a file, {str(out)!r} is a folder: name a file in it")
    check_apart(out, [checkpoint])
    check_no_checkpoint(out)
    check_writable(out.parent)
    state, name = backbone_state(checkpoint)
    layout = chosen_layout(name, layout)
    body: dict[str, Any] = state
    if layout == "moco":  # as that project's main_lincls.py reads it
        names = {f"module.encoder_q.{key}": value for key, value in state.items()}
        body = {"arch": name, "state_dict": names}
    write_tensors(out, body)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    trained = sum(value.numel() for key, value in state.items() if not key.endswith(statistics))
    return Written(out, name, layout, len(state), trained)

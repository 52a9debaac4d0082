"""Encoder = backbone + projector, and the key encoder's momentum update. D dimensions."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eqco.losses.tensors import wide
from eqco.runtime.validation import check_name


class Block(nn.Module):
    """The basic residual block: two 3x3 convolutions and a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Feature maps (N, width_in, H, W) -> (N, width, H / stride, W / stride)."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(images)), inplace=True)))
        return F.relu(inner + self.shortcut(images), inplace=True)


class SmallResNet(nn.Sequential):
    """A ResNet for images of 24 or 32 pixels that a CPU core can train.

    The stem is one convolution; each further stage halves the side and has one block.

    Args:
        in_channels: 1 for gray images, 3 for colour.
        widths: channels of each stage; the last is the number of features.
        kernel, stride: of the stem.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, ...], kernel: int = 6, stride: int = 4
    ) -> None:
        stem = nn.Conv2d(in_channels, widths[0], kernel, stride, padding=1, bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        for stage, (width_in, width) in enumerate(zip(widths[:1] + widths, widths, strict=False)):
            layers.append(Block(width_in, width, stride=1 if stage == 0 else 2))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.num_features = widths[-1]


def torchvision_resnet(name: str, *, small_images: bool) -> nn.Module:
    """torchvision's ResNet without its classifier.

    Args:
        name: a torchvision model name, such as "resnet50".
        small_images: stem of one 3x3 convolution of stride 1 and no max-pool (32-pixel images);
            otherwise the ImageNet stem.
    """
    import torchvision  # takes a second; most backbones need none of it

    backbone: Any = torchvision.models.get_model(name, weights=None, zero_init_residual=True)
    backbone.num_features = backbone.fc.in_features
    backbone.fc = nn.Identity()
    if small_images:
        backbone.conv1 = nn.Conv2d(3, 64, 3, stride=1, padding=1, bias=False)
        backbone.maxpool = nn.Identity()
    return cast(nn.Module, backbone)


BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "tiny-gray": lambda: SmallResNet(1, (16, 32)),
    "small-gray": lambda: SmallResNet(1, (32, 128)),
    "small-rgb": lambda: SmallResNet(3, (32, 128)),
    "medium-rgb": lambda: SmallResNet(3, (32, 64, 128), kernel=3, stride=2),
    "resnet18-small-images": lambda: torchvision_resnet("resnet18", small_images=True),
    "resnet18": lambda: torchvision_resnet("resnet18", small_images=False),
    "resnet50-small-images": lambda: torchvision_resnet("resnet50", small_images=True),
    "resnet50": lambda: torchvision_resnet("resnet50", small_images=False),
}


def bn_projector(num_features: int, embedding_dim: int) -> nn.Sequential:
    """Linear - BN - ReLU - Linear - BN, no biases, weights N(0, 0.01): the SiMo head."""
    head = nn.Sequential(
        nn.Linear(num_features, num_features, bias=False),
        nn.BatchNorm1d(num_features),
        nn.ReLU(inplace=True),
        nn.Linear(num_features, embedding_dim, bias=False),
        nn.BatchNorm1d(embedding_dim),
    )
    for layer in head:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.01)
    return head


def mlp_projector(num_features: int, embedding_dim: int) -> nn.Sequential:
    """Linear - ReLU - Linear with biases and torch's initialisation: the MoCo v2 head."""
    return nn.Sequential(
        nn.Linear(num_features, num_features),
        nn.ReLU(inplace=True),
        nn.Linear(num_features, embedding_dim),
    )


PROJECTORS: dict[str, Callable[[int, int], nn.Sequential]] = {
    "bn": bn_projector,
    "mlp": mlp_projector,
}


class Encoder(nn.Module):
    """Backbone and projector: images (N, C, H, W) -> unit embeddings (N, D)."""

    def __init__(
        self, backbone: nn.Module, embedding_dim: int = 128, projector: str = "bn"
    ) -> None:
        super().__init__()
        check_name("projector", projector, PROJECTORS)
        self.backbone = backbone
        self.embedding_dim = embedding_dim
        self.projector = PROJECTORS[projector](int(backbone.num_features), embedding_dim)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings of length 1, float32 or wider."""
        embedding = self.projector(self.backbone(images))
        with torch.autocast(embedding.device.type, enabled=False):
            return F.normalize(embedding.to(wide(embedding.dtype)), dim=1)


def build_encoder(backbone: str, embedding_dim: int, seed: int, projector: str = "bn") -> Encoder:
    """A freshly initialised encoder; the same seed gives the same weights on every device."""
    check_name("backbone", backbone, BACKBONES)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(BACKBONES[backbone](), embedding_dim, projector)


def frozen_copy(encoder: Encoder) -> Encoder:
    """A frozen copy of the query encoder, changed by `momentum_update` alone."""
    return copy.deepcopy(encoder).requires_grad_(False)


@torch.no_grad()
def momentum_update(encoder: nn.Module, key_encoder: nn.Module, key_momentum: float) -> None:
    """key = key_momentum * key + (1 - key_momentum) * query, for every parameter."""
    keys: list[Tensor] = list(key_encoder.parameters())
    queries: list[Tensor] = list(encoder.parameters())
    torch._foreach_lerp_(keys, queries, 1.0 - key_momentum)

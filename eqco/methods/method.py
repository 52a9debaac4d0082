"""What a method is: two views of a batch in, similarities for a loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from eqco.methods.encoder import Encoder
from eqco.settings import Settings
from eqco.similarity import Similarities


class Method(nn.Module, ABC):
    """Base class of the methods.

    Attributes:
        title: its name in tables and figures.
        pool: the recipe field that says how many keys there are to draw negatives from.
        own_fields: recipe fields that other methods do not have.
        usual: recipe fields of its usual form, where they differ from SiMo's.
        encoder: the query encoder, trained by gradient.
    """

    title: ClassVar[str]
    pool: ClassVar[str] = "batch_size"
    own_fields: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[dict[str, Any]] = {}
    encoder: Encoder
    key_encoder: Encoder

    @staticmethod
    @abstractmethod
    def available(recipe: Settings) -> int:
        """How many negatives a query can have: K at most."""

    @staticmethod
    def check(recipe: Settings) -> None:
        """Raise ValueError where the method's own fields do not fit together."""

    @classmethod
    @abstractmethod
    def of(cls, encoder: Encoder, recipe: Settings, seed: int, device: str) -> Self:
        """The method of a recipe around a fresh encoder; its batch norm spans all processes."""

    @abstractmethod
    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Cosine similarities of a batch, for a loss."""


def check_key_momentum(key_momentum: float) -> None:
    """Raise ValueError where the EMA coefficient is not in [0, 1)."""
    if not 0.0 <= key_momentum < 1.0:
        raise ValueError(f"key_momentum must lie in [0, 1), got {key_momentum}")

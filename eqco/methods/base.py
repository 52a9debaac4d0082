"""What a method is: two views of a batch in, similarities for a loss out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from eqco.config import MOMENTUM, Settings
from eqco.losses.sampling import DRAWINGS, draw_columns
from eqco.losses.similarity import Similarities
from eqco.methods.ahead import Ahead
from eqco.methods.batch_norm import use_synced_batch_norm
from eqco.methods.encoder import Encoder, frozen_copy, momentum_update
from eqco.runtime.distributed import first_index
from eqco.runtime.validation import COUNT, check_name, shown

LENGTH_TOLERANCE = 0.01  # bfloat16 rounds a length of 1 by less than 0.004


class Method(nn.Module, ABC):
    """Base class of the methods.

    Args:
        encoder: the query encoder, trained by gradient; embeddings of length 1.
        num_negatives: K, from 1 to what the method has.
        drawing: "independent" per query or "shared" (see `eqco.losses.sampling`).
        draws: disjoint draws of K negatives for each query.

    Attributes:
        title: its name in tables and figures.
        pool: the recipe field that says how many keys there are to draw negatives from.
        own_fields: recipe fields that other methods do not have.
        usual: recipe fields of its usual form, where they differ from SiMo's.
        arguments: recipe fields that its constructor takes.
    """

    title: ClassVar[str]
    pool: ClassVar[str] = "batch_size"
    own_fields: ClassVar[tuple[str, ...]] = ()
    usual: ClassVar[dict[str, Any]] = {}
    arguments: ClassVar[tuple[str, ...]] = ("num_negatives", "drawing", "draws")
    encoder: Encoder
    key_encoder: Encoder
    key_momentum: float
    embedding_checked: bool = False  # whether the first embeddings were
    ahead: Ahead | None = None  # draws the negatives of the next steps

    def __init__(
        self, encoder: Encoder, *, num_negatives: int, drawing: str = "independent", draws: int = 1
    ) -> None:
        super().__init__()
        if not isinstance(encoder, nn.Module):
            raise ValueError(f"encoder must be a torch.nn.Module, got {shown(encoder)}")
        check_name("drawing", drawing, DRAWINGS)
        self.encoder, self.drawing = encoder, drawing
        self.num_negatives = COUNT.check("num_negatives", num_negatives)
        self.draws = COUNT.check("draws", draws)

    @staticmethod
    @abstractmethod
    def available(recipe: Settings) -> int:
        """How many negatives a query can have: K at most."""

    @staticmethod
    def check(recipe: Settings) -> None:
        """Raise ValueError where the method's own fields do not fit together."""

    @classmethod
    def of(cls, encoder: Encoder, recipe: Settings, seed: int) -> Self:
        """The method of a recipe around a fresh encoder, whose batch norm spans all processes."""
        use_synced_batch_norm(encoder)
        return cls(encoder, **{name: getattr(recipe, name) for name in cls.arguments})

    @abstractmethod
    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Cosine similarities of a batch, for a loss.

        Args:
            query_view: one random view of each image, shape (N, C, H, W).
            key_view: another random view of the same images, same shape.
            generator: CPU generator of all that a step draws.
        """

    @property
    def moves(self) -> bool:
        """Whether a forward pass may change the key encoder and the queue: a step of training."""
        return self.training and torch.is_grad_enabled()

    def add_key_encoder(self, key_momentum: float) -> None:
        """Encode keys by a moving average of the query encoder, with a coefficient in [0, 1)."""
        self.key_momentum = MOMENTUM.check("key_momentum", key_momentum)
        self.key_encoder = frozen_copy(self.encoder)

    def update_key_encoder(self) -> None:
        """Move the key encoder by a step; in evaluation or without gradient it stands still."""
        if self.moves:
            momentum_update(self.encoder, self.key_encoder, self.key_momentum)

    def draw(
        self, available: int, total: int, place: Tensor, generator: torch.Generator
    ) -> Tensor | None:
        """Which keys are the negatives of this process's queries, see `draw_columns`."""
        count, drawing, draws = self.num_negatives, self.drawing, self.draws
        now = partial(
            draw_columns, count, available, drawing=drawing, total=total, place=place, draws=draws
        )
        if self.ahead is None or count == available:
            return now(generator)

        def later(fresh: torch.Generator) -> Tensor | None:
            self.before_draw(total, fresh)
            return now(fresh)

        asked = (count, available, drawing, total, draws)
        return self.ahead.draw(generator, now, later, asked)

    def before_draw(self, total: int, generator: torch.Generator) -> Any:
        """What a step of N images draws before its negatives: nothing."""

    def check_first_embedding(self, embedding: Tensor) -> None:
        """Raise ValueError where the first embeddings of an encoder are not (N, D) of length 1.

        Later ones are not looked at: on a GPU this would wait for the device at every step.
        """
        if not self.embedding_checked:
            check_unit_length(type(self).__name__, embedding)
            self.embedding_checked = True


def own_part(count: int) -> slice:
    """Which images of the whole batch this process's are."""
    first = first_index(count)
    return slice(first, first + count)


def places(count: int) -> Tensor:
    """Which images of the whole batch this process's are, shape (n,), on the CPU."""
    part = own_part(count)
    return torch.arange(part.start, part.stop, device="cpu")


def check_unit_length(method: str, embedding: Tensor) -> None:
    """Raise ValueError where embeddings are not (N, D), or one is not finite and of length 1."""
    if embedding.ndim != 2:
        raise ValueError(
            f"the encoder of {method} must return embeddings (N, D), got {tuple(embedding.shape)}: "
            "end it with nn.Flatten() and a projector"
        )
    lengths = embedding.detach().float().norm(dim=1)
    if not ((lengths - 1).abs() <= LENGTH_TOLERANCE).all():  # nor is NaN
        raise ValueError(
            f"the encoder of {method} must return embeddings of length 1, got lengths from "
            f"{lengths.min():.3g} to {lengths.max():.3g}: end it with F.normalize(embedding, dim=1)"
        )


def check_embedding_dim(method: str, encoder: nn.Module) -> None:
    """Raise ValueError where an encoder does not say how long its embeddings are."""
    dim = getattr(encoder, "embedding_dim", None)
    if not COUNT.holds(dim):
        raise ValueError(
            f"{method} fills a queue of embeddings and needs to know D: give your "
            f"{type(encoder).__name__} an attribute, encoder.embedding_dim = D, got {shown(dim)}"
        )

"""The base of the losses of two views: from embeddings to similarities, to a loss.

N images in the batch, n of them on this process, K negatives per query, D dimensions. The negatives
are the other images' embeddings, or a queue of earlier keys.
"""

from __future__ import annotations

import inspect
from dataclasses import KW_ONLY, dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from eqco.losses.functional import REDUCTIONS, with_arguments
from eqco.losses.logits import ContrastiveLogits
from eqco.losses.memory_bank import KeyQueue, in_backward
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import draw_columns
from eqco.losses.similarity import (
    FEW_WITH_GRADIENT,
    Similarities,
    to_both_views,
    to_other_images,
)
from eqco.losses.tensors import check_embeddings, check_finite, full_precision, unit
from eqco.runtime import distributed
from eqco.runtime.validation import COUNT, Number, check_name, check_temperature, shown

QUEUE_SIZE = Number(0, 2**24, whole=True)  # 8 GiB at 128 dimensions


@dataclass(eq=False, repr=False)
class ContrastiveLoss(nn.Module):
    """A loss of two views' embeddings, `loss(query, key)`: base class of `eqco.losses.modules`.

    It normalises the embeddings and finds the negatives itself. `loss(query, key, key)` is refused:
    the key of a query's own image is its positive.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        temperature: softmax temperature, > 0.
        two_sided: True: each view's embeddings are queries, the other images' embeddings of both
            views the negatives, 2 (N - 1) of them (SimCLR, NT-Xent). False: `query` alone is
            contrasted, with the N - 1 other images' keys (SiMo). None: True without a queue.
        queue_size: Q > 0: the negatives are the last Q keys of earlier steps (MoCo). The queue is
            part of `state_dict` and starts as random unit vectors. The keys of a step, of calls in
            training mode that need a gradient, enter after an optimizer of torch has stepped, or,
            in a loop without one, after the backward pass. (Q, D) makes the queue a buffer from
            the start, as `AveragedModel` copies it; with Q alone the first keys say D.
        gather: negatives and queue from the batches of all processes, with gradient, as one process
            with the whole batch has it; all batches of one size.
        generator: CPU generator of the drawing, seeded alike in all processes; None takes torch's.
        reduction: "mean", "sum" or "none" over the queries, 2N (view by view) where two-sided.

    Raises:
        ValueError: an argument is out of its range or does not fit the others.
    """

    name: ClassVar[str]  # in LOSSES
    num_negatives: int | None = None
    _: KW_ONLY
    temperature: float = 0.2
    two_sided: bool | None = None
    queue_size: int | tuple[int, int] = 0
    gather: bool = False
    generator: torch.Generator | None = None
    reduction: str = "mean"

    def __init_subclass__(cls) -> None:
        shared = inspect.cleandoc(ContrastiveLoss.__doc__ or "").partition("Args:\n")[2]
        with_arguments(cls, f"{shared}\n")

    def __post_init__(self) -> None:
        super().__init__()
        size, dim = (
            self.queue_size if isinstance(self.queue_size, tuple) else (self.queue_size, None)
        )
        size = QUEUE_SIZE.check("queue_size", size)
        if dim is not None:
            COUNT.check("the dimension of queue_size", dim)
        if self.num_negatives is not None:
            self.num_negatives = COUNT.check("num_negatives", self.num_negatives)
            if 0 < size < self.num_negatives:
                raise ValueError(
                    f"num_negatives is {self.num_negatives}, but the queue holds {size} keys"
                )
        if self.two_sided and size:
            raise ValueError(
                "a loss with a queue contrasts the queries alone: leave two_sided out, and call "
                "the loss once for each view"
            )
        if self.generator is not None and not (
            isinstance(self.generator, torch.Generator) and self.generator.device.type == "cpu"
        ):
            raise ValueError(
                f"generator must be a torch.Generator of the CPU, got {shown(self.generator)}"
            )
        for name in ("two_sided", "gather"):
            if not isinstance(getattr(self, name), bool | None):
                raise ValueError(f"{name} must be True or False, got {shown(getattr(self, name))}")
        check_name("reduction", self.reduction, REDUCTIONS)
        self.temperature = check_temperature(self.temperature)
        self.two_sided = not size if self.two_sided is None else self.two_sided
        self.queue = KeyQueue(size, dim) if size else None

    def settings(self) -> dict[str, float]:
        """What the loss needs besides the temperature."""
        setting = LOSSES[self.name].setting
        return {setting: getattr(self, setting)} if setting else {}

    def forward(self, query: Tensor, key: Tensor, *negative_keys: Tensor) -> Tensor:
        """The loss of two views of N images.

        Args:
            query: embeddings of one view, shape (N, D), of any length.
            key: embeddings of the other view of the same images, shape (N, D).

        Returns:
            Shape () or, without reduction, one value a query; float32 or wider.

        Raises:
            ValueError: the shapes do not match, K negatives are not there, or (outside
                `torch.compile`, on a CPU) an embedding is not finite.
            TypeError: negatives are given.
        """
        if negative_keys:
            raise TypeError(
                f"{type(self).__name__} takes two tensors, the embeddings of both views: the "
                "negatives are the other images', never a query's own key. For negatives of your "
                "own call eqco.eqco_info_nce(*eqco.similarities(query, key, negatives), "
                "temperature=…, alpha=…)"
            )
        check_embeddings(query, key)
        with full_precision(query):
            query, key = unit(query), unit(key)
            keys = distributed.gather(key) if self.gather else key  # (N, D)
            similarities = self.similarities(query, key, keys)
            check_finite(similarities.positive, "query or key")
            if keys.requires_grad:
                similarities.few = FEW_WITH_GRADIENT
            loss = self.of_logits(similarities, self.reduction)
            if self.queue is not None and self.training and loss.requires_grad:
                self.queue.add(keys, loss)
            return loss

    def of_logits(self, logits: ContrastiveLogits, reduction: str) -> Tensor:
        """The loss of queries whose logits are known."""
        settings = {"temperature": self.temperature, **self.settings()}
        return LOSSES[self.name].function.of_logits(logits, reduction=reduction, **settings)

    def similarities(self, query: Tensor, key: Tensor, keys: Tensor) -> Similarities:
        """Similarities of queries (n, D) to their keys (n, D) and negatives, all of length 1.

        Where the other images are the negatives, they are among the keys of the batch (N, D).
        """
        total, first = len(keys), distributed.first_index(len(key)) if self.gather else 0
        device = key.device if torch.compiler.is_compiling() else "cpu"
        place = torch.arange(first, first + len(key), device=device)  # of each query's own key
        if self.queue is not None:
            earlier, columns = self.queue.before(keys), self.draw(self.queue.size, total, place)
            return Similarities(query, key, earlier, columns=columns)
        if not self.two_sided:
            columns = self.draw(total - 1, total, place)
            return to_other_images(query, key, keys, columns, place)
        queries = distributed.gather(query) if self.gather else query
        place = torch.cat([place, place + total])
        columns = self.draw(2 * total - 2, 2 * total, place)
        return to_both_views(query, key, queries, keys, columns, place)

    def draw(self, available: int, total: int, place: Tensor) -> Tensor | None:
        """Which K of the keys that may be negatives each query has, see `draw_columns`."""
        count = available if self.num_negatives is None else self.num_negatives
        if self.generator is not None and count < available and in_backward():
            raise RuntimeError(
                "activation checkpointing computes the loss again, and a generator of its own "
                "would draw other negatives: leave generator out, torch's own is set back"
            )
        return draw_columns(count, available, self.generator, total=total, place=place)

    def extra_repr(self) -> str:
        """The main arguments, and all others that differ from their default."""
        main = ("num_negatives", *self.settings(), "temperature", "two_sided")
        others = [
            field.name
            for field in fields(self)
            if field.name not in main and getattr(self, field.name) != field.default
        ]
        return ", ".join(f"{name}={getattr(self, name)}" for name in (*main, *others))

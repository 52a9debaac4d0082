"""The base of the losses of two views: from embeddings to similarities, to a loss.

N images in the batch, n of them on this process, K negatives per query, D dimensions. The negatives
are the other images' embeddings, or a queue of earlier keys.
"""

from __future__ import annotations

import inspect
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from eqco.losses.blockwise import FEW_WITH_GRADIENT
from eqco.losses.interface import REDUCTIONS, reduced, with_arguments
from eqco.losses.logits import ContrastiveLogits, MaskedSimilarities, WithNegatives, similarities
from eqco.losses.memory_bank import KeyQueue, in_backward
from eqco.losses.plateau import Expected, range_of, watch
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import check_generator, draw_allowed, draw_columns
from eqco.losses.similarity import Similarities, to_both_views, to_other_images
from eqco.losses.tensors import (
    check_embeddings,
    check_finite,
    check_tensors,
    full_precision,
    temperature_of,
    unit,
)
from eqco.runtime import distributed
from eqco.runtime.validation import COUNT, Number, check_name, shown

QUEUE_SIZE = Number(0, 2**24, whole=True)  # 8 GiB at 128 dimensions


@dataclass(eq=False, repr=False)
class ContrastiveLoss(nn.Module):
    """A loss of two views' embeddings, `loss(query, key)`: base class of `eqco.losses.modules`.

    It normalises the embeddings and finds the negatives itself. `loss(query, key, key)` is refused:
    the key of a query's own image is its positive.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        temperature: softmax temperature, > 0; a tensor of shape () has a gradient, and a Parameter
            is trained with the loss.
        two_sided: True: each view's embeddings are queries, the other images' embeddings of both
            views the negatives, 2 (N - 1) of them (SimCLR, NT-Xent). False: `query` alone is
            contrasted, with the N - 1 other images' keys (SiMo). None: True without a queue.
        cross_modal: pairs of two encoders, such as image and text: each embedding is a query, the
            N - 1 other pairs' embeddings of the other encoder are its negatives (CLIP).
        queue_size: Q > 0: the negatives are the last Q keys of earlier steps (MoCo). The queue is
            part of `state_dict` and starts as random unit vectors. The keys of a step, of calls in
            training mode that need a gradient, enter after the encoder's optimizer has stepped, or,
            in a loop without one, after the backward pass. (Q, D) makes the queue a buffer from
            the start, as `AveragedModel` copies it; with Q alone the first keys say D.
        gather: negatives and queue from the batches of all processes, with gradient, as one process
            with the whole batch has it; all batches of one size.
        generator: CPU generator of the drawing, seeded alike in all processes; None takes torch's.
        reduction: "mean", "sum" or "none" over the queries; 2N, view by view, where two-sided or
            cross-modal.
        warn: tell once when the loss has not left its plateau in 100 steps, see `expected`; each
            step then waits for the device.

    Raises:
        ValueError: an argument is out of its range or does not fit the others.
    """

    name: ClassVar[str]  # in LOSSES
    num_negatives: int | None = None
    _: KW_ONLY
    temperature: float | Tensor = 0.2
    two_sided: bool | None = None
    cross_modal: bool = False
    queue_size: int | tuple[int, int] = 0
    gather: bool = False
    generator: torch.Generator | None = None
    reduction: str = "mean"
    warn: bool = False

    def __new__(cls, *_: Any, **__: Any) -> Self:
        made = super().__new__(cls)
        nn.Module.__init__(made)  # before the fields are set: one of them may be a Parameter
        return made

    def __init_subclass__(cls) -> None:
        shared = inspect.cleandoc(ContrastiveLoss.__doc__ or "").partition("Args:\n")[2]
        with_arguments(cls, f"{shared}\n")

    def __post_init__(self) -> None:
        queue = self.queue_size
        size, dim = queue if isinstance(queue, tuple) else (queue, None)
        size = QUEUE_SIZE.check("queue_size", size)
        if dim is not None:
            COUNT.check("the dimension of queue_size", dim)
        self.check_drawing()
        if self.num_negatives is not None:
            self.num_negatives = int(self.num_negatives)
            if 0 < size < self.num_negatives:
                raise ValueError(
                    f"num_negatives is {self.num_negatives}, but the queue holds {size} keys"
                )
        if self.cross_modal is True and (size or self.two_sided):
            raise ValueError(
                "cross_modal contrasts both directions with the batch: leave two_sided and "
                "queue_size out"
            )
        if self.two_sided and size:
            raise ValueError(
                "a loss with a queue contrasts the queries alone: leave two_sided out, and call "
                "the loss once for each view"
            )
        for name in ("two_sided", "cross_modal", "gather", "warn"):
            if not isinstance(getattr(self, name), bool | None):
                raise ValueError(f"{name} must be True or False, got {shown(getattr(self, name))}")
        check_name("reduction", self.reduction, REDUCTIONS)
        self.temperature = temperature_of(self.temperature)
        if self.two_sided is None:
            self.two_sided = not (size or self.cross_modal)
        self.queue = KeyQueue(size, dim) if size else None
        self.stuck = 0  # steps in a row at the plateau

    def check_drawing(self) -> None:
        """Raise ValueError where negatives cannot be drawn: K and generator may change later."""
        if self.num_negatives is not None:
            COUNT.check("num_negatives", self.num_negatives)
        if self.generator is not None:
            check_generator(self.generator)

    def settings(self) -> dict[str, float]:
        """What the loss needs besides the temperature."""
        setting = LOSSES[self.name].setting
        return {setting: getattr(self, setting)} if setting else {}

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        *more: Tensor,
        negatives: Tensor | None = None,
        ids: Tensor | None = None,
        logit_scale: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of two views of N images.

        Args:
            query: embeddings of one view, shape (N, D), of any length.
            key: embeddings of the other view of the same images, shape (N, D).
            more: nothing; a third tensor is refused.
            negatives: further negatives, such as hard ones: (H, D) for all queries or (N, H, D) for
                each image its own. They count as the others do: K + H negatives weigh alpha. Where
                cross-modal they are of the key's encoder, for the queries of `query`.
            ids: which of the batch are the same, shape (N,), integers: an embedding of the same id
                is never a negative, a query without any left has a loss of 0. All similarities are
                computed.
            logit_scale: 1 / temperature, instead of the loss's own, as CLIP's loops have it.

        Returns:
            Shape () or, without reduction, one value a query; float32 or wider.

        Raises:
            ValueError: the shapes do not match, K negatives are not there, or (outside
                `torch.compile`, on a CPU) an embedding is not finite.
            TypeError: there is a third tensor.
        """
        if more:
            raise TypeError(
                f"{type(self).__name__} takes two tensors, the embeddings of both views; give "
                "negatives of your own as loss(query, key, negatives=…)"
            )
        elsewhere = self.queue is not None or (self.gather and distributed.world_size() > 1)
        check_embeddings(query, key, least=1 if elsewhere else 2)
        self.check_drawing()
        if logit_scale is None:
            temperature = temperature_of(self.temperature)  # it may have changed since
        else:
            temperature = 1 / temperature_of(logit_scale, "logit_scale")
        with full_precision(query):
            query, key = unit(query), unit(key)
            keys = distributed.gather(key) if self.gather else key  # (N, D)
            logits = self.logits(query, key, keys, ids)
            check_finite(logits.positive, "query or key")
            with_own = self.add_negatives(logits, query, key, negatives)
            if not self.cross_modal:
                loss = self.of_logits(with_own, self.reduction, temperature)
            else:
                queries = distributed.gather(query) if self.gather else query
                both = with_own, self.logits(key, query, queries, ids)
                losses = torch.cat([self.of_logits(side, "none", temperature) for side in both])
                loss = reduced(losses, self.reduction)
            if self.queue is not None and self.training and loss.requires_grad:
                self.queue.add(keys, loss)
            if self.warn and self.training:
                watch(self, loss, with_own)
            return loss

    def of_logits(
        self, logits: ContrastiveLogits, reduction: str, temperature: float | Tensor | None = None
    ) -> Tensor:
        """The loss of queries whose logits are known."""
        at = temperature_of(self.temperature) if temperature is None else temperature
        settings = {"temperature": at, **self.settings()}
        losses = LOSSES[self.name].losses(logits, **settings)
        if isinstance(logits, MaskedSimilarities):
            losses = losses.where(logits.counts > 0, 0.0)
        return reduced(losses, reduction)

    def logits(
        self, query: Tensor, key: Tensor, keys: Tensor, ids: Tensor | None
    ) -> Similarities | MaskedSimilarities:
        """What the loss sees of queries (n, D) and their keys (n, D), among those of the batch."""
        if ids is not None:
            return self.masked_logits(query, key, keys, ids)
        logits = self.similarities(query, key, keys)
        if keys.requires_grad:
            logits.few = FEW_WITH_GRADIENT
        return logits

    def masked_logits(
        self, query: Tensor, key: Tensor, keys: Tensor, ids: Tensor
    ) -> MaskedSimilarities:
        """`logits` where embeddings of one id are no negatives of each other."""
        if self.queue is not None:
            raise ValueError("ids are of the batch, the keys of a queue have none: leave ids out")
        if not isinstance(ids, Tensor):
            raise ValueError(f"ids must be a tensor, got {type(ids).__name__}: torch.tensor(ids)")
        if ids.shape != (len(query),) or ids.is_floating_point():
            raise ValueError(
                f"ids must be integers of shape ({len(query)},), one for each image, got "
                f"{tuple(ids.shape)} of {ids.dtype}"
            )
        ids = ids.to(query.device)
        every = distributed.gather(ids) if self.gather else ids
        place = self.place(key, query.device)
        positive_key, others = key, keys
        if self.two_sided:
            queries = distributed.gather(query) if self.gather else query
            query, positive_key = torch.cat([query, key]), torch.cat([key, query])
            others, every = torch.cat([keys, queries]), every.repeat(2)
            ids, place = ids.repeat(2), torch.cat([place, place + len(keys)])
        allowed = ids[:, None] != every
        if self.num_negatives is not None:
            count, on = self.num_negatives, len(others)
            allowed = draw_allowed(count, allowed, self.generator, total=on, place=place)
        positive = (query * positive_key).sum(dim=1)
        return MaskedSimilarities(query @ others.T, allowed, positive)

    def add_negatives(
        self,
        logits: Similarities | MaskedSimilarities,
        query: Tensor,
        key: Tensor,
        negatives: Tensor | None,
    ) -> ContrastiveLogits:
        """Logits with the similarities of further negatives, (H, D) or (N, H, D), if any."""
        if negatives is None:
            return logits
        check_tensors(query, negatives)
        check_finite(negatives, "negatives")
        directions = unit(negatives).to(query.dtype)
        views = [query, key] if self.two_sided else [query]
        own_similarities = torch.cat([similarities(view, key, directions)[1] for view in views])
        return WithNegatives(logits, own_similarities)

    def expected(self, num_images: int | None = None) -> Expected:
        """The loss of a query at its extremes, and where an untrained or collapsed encoder has it.

        Args:
            num_images: N, images a step, where all negatives are taken; not needed with K.

        Raises:
            ValueError: K is not known.

        >>> from eqco import EqCoLoss
        >>> [round(each, 2) for each in EqCoLoss(num_negatives=16, alpha=256).expected()]
        [0.01, 5.55, 15.55]
        """
        count = self.num_negatives or (self.queue.size if self.queue else None)
        if count is None:
            if num_images is None:
                raise ValueError("all negatives are taken: expected(num_images) needs their number")
            count = (COUNT.check("num_images", num_images) - 1) * (2 if self.two_sided else 1)
        return range_of(self, count)

    def place(self, key: Tensor, device: torch.device | str) -> Tensor:
        """Where the images of this process stand in the batch, shape (n,)."""
        first = distributed.first_index(len(key)) if self.gather else 0
        return torch.arange(first, first + len(key), device=device)

    def similarities(self, query: Tensor, key: Tensor, keys: Tensor) -> Similarities:
        """Similarities of queries (n, D) to their keys (n, D) and negatives, all of length 1.

        Where the other images are the negatives, they are among the keys of the batch (N, D).
        """
        total = len(keys)
        place = self.place(key, key.device if torch.compiler.is_compiling() else "cpu")
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
        values = {name: getattr(self, name) for name in (*main, *others)}
        if isinstance(self.temperature, Tensor) and not self.temperature.is_meta:
            kind = type(self.temperature).__name__
            values["temperature"] = f"{kind}({self.temperature.item():g})"
        return ", ".join(f"{name}={value}" for name, value in values.items())


# The default stays with __init__; as an attribute of the class it would keep a Parameter out.
delattr(ContrastiveLoss, "temperature")

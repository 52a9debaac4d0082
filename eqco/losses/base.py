"""What the losses of `eqco.losses.modules` share: from two views' embeddings to similarities.

N images in the batch, n of them on this process, K negatives per query, D dimensions. The negatives
are the other images' embeddings, or a queue of earlier keys.
"""

from __future__ import annotations

from typing import ClassVar, NoReturn, TypedDict

import torch
from torch import Tensor, nn

from eqco.losses.embeddings import check_embeddings, others, products, unit
from eqco.losses.functional import LOSSES
from eqco.losses.logits import REDUCTIONS, Explicit, Gaps
from eqco.losses.memory_bank import KeyQueue
from eqco.losses.sampling import draw_columns
from eqco.runtime import distributed
from eqco.runtime.validation import COUNT, Number, check_name, check_temperature

QUEUE_SIZE = Number(0, 2**31, whole=True)


class Options(TypedDict, total=False):
    """What all losses of this file take, see `ContrastiveLoss`."""

    temperature: float
    two_sided: bool | None
    queue_size: int
    gather: bool
    generator: torch.Generator | None
    reduction: str


class ContrastiveLoss(nn.Module):
    """A loss of two views' embeddings, `loss(query, key)`: base class of those below.

    It normalises the embeddings and finds the negatives itself. `loss(query, key, key)` is refused:
    the key of a query's own image is its positive.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        temperature: softmax temperature, > 0.
        two_sided: True: each view's embeddings are queries, the other images' embeddings of both
            views the negatives, 2 (N - 1) of them (SimCLR, NT-Xent). False: `query` alone is
            contrasted, with the N - 1 other images' keys (SiMo). None: True without a queue.
        queue_size: Q > 0: the negatives are the last Q keys of earlier batches (MoCo). The queue is
            part of `state_dict`, takes the keys of a batch after its loss, where the query requires
            a gradient and the module is in training mode, and starts as random unit vectors.
        gather: negatives and queue from the batches of all processes, with gradient, as one process
            with the whole batch has it; all batches of one size.
        generator: CPU generator of the drawing, seeded alike in all processes; None takes torch's.
        reduction: "mean", "sum" or "none" over the queries, 2N (view by view) where two-sided.

    Raises:
        ValueError: an argument is out of its range or does not fit the others.
    """

    name: ClassVar[str]  # in LOSSES

    def __init__(
        self,
        num_negatives: int | None = None,
        *,
        temperature: float = 0.2,
        two_sided: bool | None = None,
        queue_size: int = 0,
        gather: bool = False,
        generator: torch.Generator | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        queue_size = QUEUE_SIZE.check("queue_size", queue_size)
        if num_negatives is not None:
            num_negatives = COUNT.check("num_negatives", num_negatives)
            if 0 < queue_size < num_negatives:
                raise ValueError(
                    f"num_negatives is {num_negatives}, but the queue holds {queue_size} keys"
                )
        if two_sided and queue_size:
            raise ValueError(
                "a loss with a queue contrasts the queries alone: leave two_sided out, and call "
                "the loss once for each view"
            )
        if generator is not None and generator.device.type != "cpu":
            raise ValueError(f"generator must be a CPU generator, got one of {generator.device}")
        check_name("reduction", reduction, REDUCTIONS)
        self.num_negatives = num_negatives
        self.temperature = check_temperature(temperature)
        self.two_sided = not queue_size if two_sided is None else two_sided
        self.queue = KeyQueue(queue_size) if queue_size else None
        self.gather = gather
        self.generator = generator
        self.reduction = reduction

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
            self.refuse()
        check_embeddings(query, key)
        with torch.autocast(query.device.type, enabled=False):
            query, key = unit(query), unit(key)
            grows = self.training and query.requires_grad
            positive, negatives = self.contrasted(query, key, grows)
            return REDUCTIONS[self.reduction](self.losses(Explicit(positive, negatives)))

    def losses(self, found: Gaps) -> Tensor:
        """The loss of each query, shape (n,)."""
        return LOSSES[self.name].losses(found, temperature=self.temperature, **self.settings())

    def refuse(self) -> NoReturn:
        """Raise TypeError: negatives are given where the loss takes the other images."""
        raise TypeError(
            f"{type(self).__name__} takes two tensors, the embeddings of both views: the negatives "
            "are the other images', never a query's own key. For negatives of your own call "
            "eqco.eqco_info_nce(*eqco.similarities(query, key, negatives), temperature=…, alpha=…)"
        )

    def contrasted(self, query: Tensor, key: Tensor, grows: bool) -> tuple[Tensor, Tensor]:
        """Similarities to the positive (n,) and to K negatives (n, K) of each query."""
        keys = distributed.gather(key) if self.gather else key  # (N, D)
        first = distributed.first_index(len(key)) if self.gather else 0
        place = first + torch.arange(len(key), device=key.device)  # which key is the positive
        positive = (query * key).sum(dim=1)
        if self.queue is not None:
            earlier = self.queue.before(keys)
            negatives = products(query, earlier, self.drawn(len(earlier), len(keys), place))
            if grows:
                self.queue.push(keys)
            return positive, negatives
        total = len(keys)
        if not self.two_sided:
            columns = self.drawn(total - 1, total, place)
            return positive, products(query, keys, others(columns, total, place))
        queries = distributed.gather(query) if self.gather else query
        place = torch.cat([place, place + total])  # of a query among both views
        image = place % total  # whose two views are no negatives
        columns = self.drawn(2 * total - 2, 2 * total, place)
        columns = others(columns, 2 * total, image, image + total)
        views, own = torch.cat([queries, keys]), torch.cat([query, key])
        return positive.repeat(2), products(own, views, columns)

    def drawn(self, available: int, total: int, place: Tensor) -> Tensor | None:
        """Which K of the keys that may be negatives each query has, (n, K); None for all.

        Args:
            available: how many there are.
            total: queries in the whole batch.
            place: which of them are this process's, shape (n,).
        """
        count = available if self.num_negatives is None else self.num_negatives
        if count > available:
            raise ValueError(
                f"num_negatives is {count}, but only {available} negatives are there: ask for "
                f"{available} or fewer, enlarge the batch, or drop a smaller last one "
                "(drop_last=True of a DataLoader)"
            )
        if count == available:
            return None
        if torch.compiler.is_compiling():  # traces torch's own generator, and no loop
            if self.generator is not None:
                raise RuntimeError(
                    "torch.compile needs generator=None: it traces torch's own alone"
                )
            scores = torch.rand(len(place), available, device=place.device)
            return scores.topk(count, dim=1, sorted=False).indices
        drawn = draw_columns(
            count,
            available,
            self.generator or torch.default_generator,
            "independent",
            total=total,
            place=place.cpu(),
        )
        assert drawn is not None
        return drawn.to(place.device)

    def extra_repr(self) -> str:
        """What `print(loss)` shows."""
        shown_settings = {
            "num_negatives": self.num_negatives,
            **self.settings(),
            "temperature": self.temperature,
            "two_sided": self.two_sided,
        }
        return ", ".join(f"{name}={value}" for name, value in shown_settings.items())

"""MoCo v2: negatives come from a queue. N images, a queue of Q keys, K negatives, D dimensions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from eqco.config import Settings
from eqco.losses.memory_bank import random_keys, replace_oldest
from eqco.losses.sampling import check_generator
from eqco.losses.similarity import Similarities
from eqco.methods.base import Method, check_embedding_dim, own_part, places
from eqco.methods.batch_norm import use_split_batch_norm
from eqco.methods.encoder import Encoder
from eqco.runtime.distributed import gather, world_size
from eqco.runtime.transfer import all_to_device
from eqco.runtime.validation import COUNT


class MoCo(Method):
    """Query encoder, momentum key encoder, and a first-in, first-out queue of keys.

    Args:
        encoder: the query encoder, trained by gradient; embeddings of length 1.
        num_negatives: K, from 1 to the queue size; K are drawn from the queue for each query.
        queue_size: Q; need not be a multiple of the batch.
        seed: of the random unit vectors that fill the queue at first.
        key_momentum: EMA coefficient of the key encoder, in [0, 1).
        drawing: "independent" per query or "shared" (see `eqco.losses.sampling`).
        draws: disjoint draws of K negatives for each query.
        bn_splits: parts of the batch with batch statistics of their own, over all processes; the
            key batch is shuffled first, so that query and key share no statistics.

    Source: He et al., arXiv 1911.05722; Chen et al., arXiv 2003.04297.
    """

    title = "MoCo v2"
    pool = "queue_size"
    own_fields: ClassVar[tuple[str, ...]] = ("queue_size", "bn_splits")
    usual: ClassVar[dict[str, Any]] = {"bn_splits": 8, "projector": "mlp"}
    arguments: ClassVar[tuple[str, ...]] = (*Method.arguments, "key_momentum", *own_fields)
    queue: Tensor
    queue_next: Tensor
    pending: Tensor | None

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_negatives: int,
        queue_size: int,
        seed: int = 0,
        key_momentum: float = 0.999,
        drawing: str = "independent",
        draws: int = 1,
        bn_splits: int = 8,
    ) -> None:
        queue_size = COUNT.check("queue_size", queue_size)
        if COUNT.check("num_negatives", num_negatives) > queue_size:
            raise ValueError(
                f"num_negatives is {num_negatives}, but the queue holds {queue_size} keys"
            )
        check_embedding_dim(type(self).__name__, encoder)
        use_split_batch_norm(encoder, COUNT.check("bn_splits", bn_splits))
        super().__init__(encoder, num_negatives=num_negatives, drawing=drawing, draws=draws)
        self.add_key_encoder(key_momentum)
        draw = torch.Generator("cpu").manual_seed(seed)
        self.register_buffer("queue", random_keys(queue_size, encoder.embedding_dim, draw))
        self.register_buffer("queue_next", torch.zeros((), dtype=torch.long, device="cpu"))
        self.register_buffer("pending", None, persistent=False)  # keys of the last batch, (N, D)

    @staticmethod
    def available(recipe: Settings) -> int:
        """The keys in the queue."""
        return recipe.queue_size

    @staticmethod
    def check(recipe: Settings) -> None:
        """Raise ValueError where a batch does not fit into the queue, or not into parts."""
        if recipe.queue_size < recipe.batch_size:
            raise ValueError(
                f"queue holds {recipe.queue_size} keys, the batch brings {recipe.batch_size}: "
                "enlarge queue_size"
            )
        if recipe.batch_size % recipe.bn_splits:
            raise ValueError(
                f"bn_splits is {recipe.bn_splits}, which does not divide a batch of "
                f"{recipe.batch_size}"
            )

    @classmethod
    def of(cls, encoder: Encoder, recipe: Settings, seed: int) -> Self:
        """MoCo v2 of a recipe."""
        return cls(encoder, seed=seed, **{name: getattr(recipe, name) for name in cls.arguments})

    def keys(self, key_view: Tensor, generator: torch.Generator) -> Tensor:
        """Update the key encoder in training, then encode the shuffled key view: (N, D)."""
        self.update_key_encoder()
        device = key_view.device.type
        if world_size() > 1 and torch.is_autocast_enabled(device):  # as the encoder will see them
            key_view = key_view.to(torch.get_autocast_dtype(device))
        images = gather(key_view)  # (N, C, H, W)
        shuffled = self.before_draw(len(images), generator)
        order = (shuffled[own_part(len(key_view))], shuffled.argsort())
        shuffled_rows, back = all_to_device(order, images.device)
        with torch.no_grad():
            key = gather(self.key_encoder(images[shuffled_rows]))
        return key[back]

    def before_draw(self, total: int, generator: torch.Generator) -> Tensor:
        """The order in which the N key images are encoded, shape (N,)."""
        return torch.randperm(total, generator=generator, device="cpu")

    def enqueue_pending(self) -> None:
        """Enqueue the keys of the last batch, which wait until its loss has been computed."""
        if self.pending is not None:
            replace_oldest(self.queue, self.queue_next, self.pending)
            self.pending = None

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Weights and the queue, which the keys of the last batch have joined."""
        self.enqueue_pending()
        return super().state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        """Load a state; keys that were to join the queue before do not join the loaded one."""
        self.pending = None
        super()._load_from_state_dict(*args, **kwargs)

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Similarities of the N queries to K keys of the queue; arguments as in `Method.forward`.

        With several processes, each has its own n of the N queries; all have the same queue.
        Compute the loss and its gradient before the next batch, whose call enqueues these keys. In
        evaluation mode or without gradient the key encoder and the queue stand still.
        """
        check_generator(generator)
        if self.moves:
            self.enqueue_pending()
        keys = self.keys(key_view, generator)  # (N, D)
        query = self.encoder(query_view)  # (n, D)
        self.check_first_embedding(query)
        place = places(len(query))
        columns = self.draw(len(self.queue), len(keys), place, generator)
        if self.moves:
            self.pending = keys
        positive_key = keys[own_part(len(query))]
        return Similarities(query, positive_key, self.queue, columns=columns, draws=self.draws)

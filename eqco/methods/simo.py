"""SiMo: MoCo v2 without the queue. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from eqco.config import Settings
from eqco.losses.sampling import check_generator
from eqco.losses.similarity import Similarities, to_other_images
from eqco.methods.base import Method, own_part, places
from eqco.methods.encoder import Encoder
from eqco.runtime.distributed import gather


class SiMo(Method):
    """Query encoder and momentum key encoder; negatives are the other images' keys.

    Args:
        encoder: the query encoder, trained by gradient; embeddings of length 1.
        num_negatives: K, from 1 to N - 1.
        key_momentum: EMA coefficient of the key encoder, in [0, 1).
        drawing: "independent" per query or "shared" (see `eqco.losses.sampling`).
        draws: disjoint draws of K negatives for each query.

    Source: EqCo, arXiv 2010.01929.
    """

    title = "SiMo"

    arguments: ClassVar[tuple[str, ...]] = (*Method.arguments, "key_momentum")

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_negatives: int,
        key_momentum: float = 0.999,
        drawing: str = "independent",
        draws: int = 1,
    ) -> None:
        super().__init__(encoder, num_negatives=num_negatives, drawing=drawing, draws=draws)
        self.add_key_encoder(key_momentum)

    @staticmethod
    def available(recipe: Settings) -> int:
        """The other images' keys: N - 1."""
        return recipe.batch_size - 1

    def keys(self, key_view: Tensor) -> Tensor:
        """Update the key encoder in training, then encode the key view: (N, D), no gradient."""
        self.update_key_encoder()
        with torch.no_grad():
            return self.key_encoder(key_view)  # type: ignore[no-any-return]

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Similarities of the N queries to K keys each; arguments as in `Method.forward`.

        With several processes, each has its own n of the N queries, and draws from all keys. In
        evaluation mode or without gradient the key encoder stands still.
        """
        check_generator(generator)
        keys = gather(self.keys(key_view))  # (N, D), the whole batch
        query = self.encoder(query_view)  # (n, D), this process's part of it
        self.check_first_embedding(query)
        place = places(len(query))
        columns = self.draw(len(keys) - 1, len(keys), place, generator)
        positive_key = keys[own_part(len(query))]
        return to_other_images(query, positive_key, keys, columns, place, self.draws)

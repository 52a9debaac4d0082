"""SiMo: MoCo v2 without the queue. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from eqco.config import Settings
from eqco.losses.sampling import draw_columns, skip
from eqco.losses.similarity import Similarities
from eqco.methods.base import Method, check_key_momentum
from eqco.methods.batch_norm import use_synced_batch_norm
from eqco.methods.encoder import Encoder, frozen_copy, momentum_update
from eqco.runtime.distributed import first_index, gather


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

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_negatives: int,
        key_momentum: float = 0.999,
        drawing: str = "independent",
        draws: int = 1,
    ) -> None:
        super().__init__()
        check_key_momentum(key_momentum)
        self.encoder = encoder
        self.key_encoder = frozen_copy(encoder)
        self.num_negatives = num_negatives
        self.key_momentum = key_momentum
        self.drawing = drawing
        self.draws = draws

    @staticmethod
    def available(recipe: Settings) -> int:
        """The other images' keys: N - 1."""
        return recipe.batch_size - 1

    @classmethod
    def of(cls, encoder: Encoder, recipe: Settings, seed: int, device: str) -> Self:
        """SiMo of a recipe."""
        use_synced_batch_norm(encoder, device)
        return cls(
            encoder,
            num_negatives=recipe.num_negatives,
            key_momentum=recipe.key_momentum,
            drawing=recipe.drawing,
            draws=recipe.draws,
        )

    @torch.no_grad()
    def keys(self, key_view: Tensor) -> Tensor:
        """Update the key encoder, then encode the key view: (N, D), no gradient."""
        momentum_update(self.encoder, self.key_encoder, self.key_momentum)
        return self.key_encoder(key_view)  # type: ignore[no-any-return]

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Cosine similarities for one batch.

        Args:
            query_view: one random view of each image, shape (N, C, H, W).
            key_view: another random view of the same images, same shape.
            generator: CPU generator that draws the negatives.

        Returns:
            Similarities of the N queries to K keys each. With several processes, each has its own n
            of the N queries, and draws from all keys.
        """
        key = gather(self.keys(key_view))  # (N, D), the whole batch
        query = self.encoder(query_view)  # (n, D), this process's part of it
        self.look(query)
        own = first_index(len(query)) + torch.arange(len(query))  # which key is the positive
        columns = draw_columns(
            self.num_negatives,
            len(key) - 1,
            generator,
            self.drawing,
            total=len(key),
            place=own,
            draws=self.draws,
        )
        if columns is None:
            return Similarities(query, key[own], key, excluded=own[:, None])
        return Similarities(query, key[own], key, columns=skip(columns, own), draws=self.draws)

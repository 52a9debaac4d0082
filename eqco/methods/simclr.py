"""SimCLR: both views are queries. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from eqco.distributed import first_index, gather
from eqco.methods.batch_norm import use_synced_batch_norm
from eqco.methods.encoder import Encoder
from eqco.methods.method import Method
from eqco.negatives import draw_from, others
from eqco.settings import Settings


class SimCLR(Method):
    """One encoder for both views; negatives are both views of the other images.

    Args:
        encoder: trained through queries and keys alike; embeddings of length 1.
        num_negatives: K, from 1 to 2 (N - 1).
        drawing: "independent" per query or "shared" (see `eqco.negatives`).

    Source: Chen et al., arXiv 2002.05709.
    """

    title = "SimCLR"

    def __init__(
        self, encoder: Encoder, *, num_negatives: int, drawing: str = "independent"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_negatives = num_negatives
        self.drawing = drawing

    @property
    def key_encoder(self) -> Encoder:  # type: ignore[override]
        """The encoder of keys: the same one."""
        return self.encoder

    @staticmethod
    def available(recipe: Settings) -> int:
        """Both views of the other images: 2 (N - 1)."""
        return 2 * (recipe.batch_size - 1)

    @classmethod
    def of(cls, encoder: Encoder, recipe: Settings, seed: int, device: str) -> Self:
        """SimCLR of a recipe."""
        use_synced_batch_norm(encoder, device)
        return cls(encoder, num_negatives=recipe.num_negatives, drawing=recipe.drawing)

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Cosine similarities for one batch, in both directions.

        Args:
            query_view: one random view of each image, shape (N, C, H, W).
            key_view: another random view of the same images, same shape.
            generator: CPU generator that draws the negatives.

        Returns:
            positive (2N,) and negatives (2N, K): first the query views', then the key views'. With
            several processes, each has its own n of the N images, and draws from all.
        """
        query, key = self.encoder(torch.cat([query_view, key_view])).chunk(2)  # (n, D) each
        queries, keys = gather(query), gather(key)  # (N, D), with gradient
        first, total = first_index(len(query)), len(queries)
        with torch.autocast(query.device.type, enabled=False):
            across, within = query @ keys.T, query @ queries.T  # (n, N)
            across_key, within_key = key @ queries.T, key @ keys.T
        positive = torch.cat([each.diagonal(first)[: len(query)] for each in (across, across_key)])
        candidates = torch.cat(
            [
                torch.cat([others(across, first), others(within, first)], dim=1),
                torch.cat([others(across_key, first), others(within_key, first)], dim=1),
            ]
        )  # (2n, 2N - 2)
        place = torch.arange(first, first + len(query))
        return positive, draw_from(
            candidates,
            self.num_negatives,
            generator,
            self.drawing,
            total=2 * total,
            place=torch.cat([place, place + total]),
        )

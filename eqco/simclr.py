"""SimCLR: both views are queries. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from eqco.encoder import Encoder
from eqco.negatives import draw_from, others
from eqco.parallel import first_of, gather


class SimCLR(nn.Module):
    """One encoder for both views; negatives are both views of the other images.

    Args:
        encoder: trained through queries and keys alike; embeddings of length 1.
        num_negatives: K, from 1 to 2 (N - 1).
        drawing: "independent" per query or "shared" (see `eqco.negatives`).

    Source: Chen et al., arXiv 2002.05709.
    """

    def __init__(
        self, encoder: Encoder, *, num_negatives: int, drawing: str = "independent"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_negatives = num_negatives
        self.drawing = drawing

    @property
    def key_encoder(self) -> Encoder:
        """The encoder of keys: the same one."""
        return self.encoder

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
        first, total = first_of(len(query)), len(queries)
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

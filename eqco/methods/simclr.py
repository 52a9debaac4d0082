"""SimCLR: both views are queries. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor

from eqco.config import Settings
from eqco.losses.sampling import draw_columns, skip
from eqco.losses.similarity import Similarities
from eqco.methods.base import Method
from eqco.methods.batch_norm import use_synced_batch_norm
from eqco.methods.encoder import Encoder
from eqco.runtime.distributed import first_index, gather


class SimCLR(Method):
    """One encoder for both views; negatives are both views of the other images.

    Args:
        encoder: trained through queries and keys alike; embeddings of length 1.
        num_negatives: K, from 1 to 2 (N - 1).
        drawing: "independent" per query or "shared" (see `eqco.losses.sampling`).
        draws: disjoint draws of K negatives for each query.

    Source: Chen et al., arXiv 2002.05709.
    """

    title = "SimCLR"

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_negatives: int,
        drawing: str = "independent",
        draws: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.num_negatives = num_negatives
        self.drawing = drawing
        self.draws = draws

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
        return cls(
            encoder,
            num_negatives=recipe.num_negatives,
            drawing=recipe.drawing,
            draws=recipe.draws,
        )

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Cosine similarities for one batch, in both directions.

        Args:
            query_view: one random view of each image, shape (N, C, H, W).
            key_view: another random view of the same images, same shape.
            generator: CPU generator that draws the negatives.

        Returns:
            Similarities of 2N queries, first the query views, then the key views, to K of the other
            images' views each. With several processes, each has its own n of the N images, and
            draws from all.
        """
        embedding = self.encoder(torch.cat([query_view, key_view]))  # (2n, D)
        self.look(embedding)
        query, key = embedding.chunk(2)  # (n, D) each
        queries, keys = gather(query), gather(key)  # (N, D), with gradient
        total, own = len(keys), first_index(len(query)) + torch.arange(len(query))
        place = torch.cat([own, own + total])  # of this process's 2n queries among the 2N
        columns = draw_columns(
            self.num_negatives,
            2 * (total - 1),
            generator,
            self.drawing,
            total=2 * total,
            place=place,
            draws=self.draws,
        )
        # For a query view the keys come first, for a key view the queries, in the order of drawing.
        views, both = torch.cat([keys, queries]), torch.cat([query, key])
        positive = torch.cat([key, query])
        if columns is None:
            excluded = torch.stack([place, (place + total) % (2 * total)], dim=1)
            return Similarities(both, positive, views, excluded=excluded)
        other, column = columns // (total - 1), columns % (total - 1)  # which view, which image
        column = skip(column, place % total)
        swapped = (place >= total)[:, None]
        columns = column + total * (other ^ swapped)
        return Similarities(both, positive, views, columns=columns, draws=self.draws)

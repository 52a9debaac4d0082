"""SimCLR: both views are queries. N images in the batch, K negatives per query, D dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from eqco.config import Settings
from eqco.losses.sampling import check_generator
from eqco.losses.similarity import Similarities, to_both_views
from eqco.methods.base import Method, places
from eqco.methods.encoder import Encoder
from eqco.runtime.distributed import gather, world_size


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

    @property
    def key_encoder(self) -> Encoder:  # type: ignore[override]
        """The encoder of keys: the same one."""
        return self.encoder

    @staticmethod
    def available(recipe: Settings) -> int:
        """Both views of the other images: 2 (N - 1)."""
        return 2 * (recipe.batch_size - 1)

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Similarities of 2N queries to K views of other images; arguments as in `Method.forward`.

        First the query views, then the key views. With several processes, each has its own n of the
        N images, and draws from all.
        """
        check_generator(generator)
        embedding = self.encoder(torch.cat([query_view, key_view]))  # (2n, D)
        self.check_first_embedding(embedding)
        query, key = embedding.chunk(2)  # (n, D) each
        parts = gather(embedding).view(world_size(), 2, len(query), -1)  # with gradient
        queries, keys = parts.transpose(0, 1).flatten(1, 2)  # (N, D) each
        total, place = len(keys), places(len(query))
        place = torch.cat([place, place + total])  # of this process's 2n queries among the 2N
        others = 2 * (total - 1)
        columns = self.draw(others, 2 * total, place, generator)
        if columns is not None:  # the other kind of view comes first in the order of drawing
            is_query = (place < total)[:, None]
            columns = torch.where(is_query, (columns + total - 1) % others, columns)
        return to_both_views(query, key, queries, keys, columns, place, self.draws)

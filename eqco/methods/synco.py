"""SynCo: MoCo v2 with synthetic negatives beside those of the queue.

N images, n of them on this process, K negatives from the queue, H hardest of them, J synthetic ones
for each query, D dimensions.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.config import Settings
from eqco.losses.similarity import Similarities, version
from eqco.methods.base import own_part
from eqco.methods.encoder import Encoder
from eqco.methods.moco import MoCo
from eqco.runtime.distributed import world_size
from eqco.runtime.transfer import all_to_device

# Six kinds: interpolated, extrapolated, mixed, with noise, perturbed, adversarial.
SHARES = (4, 4, 4, 1, 1, 1)
MOST_INTERPOLATED = 0.5  # share of the query
MOST_EXTRAPOLATED = 1.5  # distance from the query, as a multiple of the key's
STEP = 0.01  # sigma of the noise, delta of the perturbed, eta of the adversarial ones
LEAST_HARD, HARD_SHARE = 16, 64  # H is one in 64 of the K negatives, but no fewer than 16 or K


@dataclass(frozen=True)
class Draws:
    """Random numbers of synthetic negatives, with u = J / 15 of each of the last three kinds.

    Attributes:
        places: which of the H hardest each is made of, shape (n, J + 4u): the last 4u are the
            partners of the mixed ones.
        shares: from [0, 1), of the interpolated, extrapolated and mixed ones, shape (n, 12u).
        noise: standard normal, shape (n, u, D).
    """

    places: Tensor
    shares: Tensor
    noise: Tensor

    @classmethod
    def of(cls, query: Tensor, count: int, hard: int, generator: torch.Generator) -> Draws:
        """Draw for all N queries and keep those of this process's, (n, D), on their device."""
        total, unit = len(query) * world_size(), count // sum(SHARES)
        rows = own_part(len(query))
        options: Any = {"generator": generator, "device": generator.device}
        drawn = (
            torch.randint(hard, (total, count + SHARES[2] * unit), **options),
            torch.rand(total, sum(SHARES[:3]) * unit, **options),
            torch.randn(total, SHARES[3] * unit, query.shape[1], **options),
        )
        return cls(*all_to_device([numbers[rows] for numbers in drawn], query.device))


@torch.no_grad()
def synthetic_negatives(query: Tensor, hardest: Tensor, draws: Draws) -> Tensor:
    """Synthetic negatives of each query, of length 1, without gradient.

    Args:
        query: q, shape (n, D), of length 1.
        hardest: the keys most similar to each query, shape (n, H, D), of length 1.
        draws: which key k of them each is made of, and the random numbers below.

    Returns:
        Shape (n, J, D), normalised, in the order of the kinds: a q + (1 - a) k with a below 1/2;
        q + b (k - q) with b from 1 to 3/2; c k + (1 - c) k' with c below 1; k + 0.01 times noise;
        k + 0.01 q; k + 0.01 sign(q). The last two go along the gradient of q . k by k, which is q.
    """
    places = draws.places[:, :, None].expand(-1, -1, hardest.shape[2])
    unit = draws.noise.shape[1] // SHARES[3]
    sizes = [share * unit for share in (*SHARES, SHARES[2])]
    first, second, third, fourth, fifth, sixth, partners = torch.split(
        hardest.gather(1, places), sizes, dim=1
    )
    a, b, c = draws.shares.to(query.dtype)[:, :, None].chunk(3, dim=1)
    a, b = MOST_INTERPOLATED * a, 1 + (MOST_EXTRAPOLATED - 1) * b
    q = query[:, None]
    made = [
        a * q + (1 - a) * first,
        q + b * (second - q),
        c * third + (1 - c) * partners,
        fourth + STEP * draws.noise.to(query.dtype),
        fifth + STEP * q,
        sixth + STEP * q.sign(),
    ]
    return F.normalize(torch.cat(made, dim=1), dim=2)


def with_synthetic(similarities: Similarities, synthetic: Tensor) -> Similarities:
    """The similarities of a batch with further negatives of each query's own, (n, J, D)."""
    queue, count = similarities.keys, len(synthetic)
    columns = similarities.columns
    if columns is None:
        columns = torch.arange(len(queue), device=synthetic.device).expand(count, -1)
    places = torch.arange(synthetic.shape[:2].numel(), device=synthetic.device).view(count, -1)
    extended = copy.copy(similarities)
    extended.keys = torch.cat([queue, synthetic.flatten(0, 1)])
    extended.columns = torch.cat([columns, len(queue) + places], dim=1)
    extended.version = version(extended.keys)
    return extended


class SynCo(MoCo):
    """MoCo v2 whose queries have J synthetic negatives beside K of the queue.

    They are made of the hardest of the K negatives, so K = 16 keys of the queue are all that a
    query sees; with K = 1024 and J = 15 the shares are the authors' 1024 hardest and 960 of 65,536.

    Args:
        encoder: the query encoder, trained by gradient; embeddings of length 1.
        num_synthetic: J, a multiple of 15: four interpolated, extrapolated and mixed ones to one
            with noise, perturbed and adversarial one; 0 is MoCo v2, to the bit.
        moco: K and the other arguments of `MoCo`.

    Source: Giakoumoglou and Stathaki, arXiv 2410.02401, and the authors' code (giakoumoglou/synco):
    shares, ranges and steps. The code for MoCo approximates the gradient of the last two kinds by
    differences along noise of 1e-5, which leaves them within 1e-6 of the key; here it is exact, as
    in the authors' later code for transformers. Left out: the first 10 of 200 epochs without
    synthetic negatives.
    """

    title = "SynCo"
    own_fields: ClassVar[tuple[str, ...]] = (*MoCo.own_fields, "num_synthetic")
    usual: ClassVar[dict[str, Any]] = {**MoCo.usual, "num_synthetic": 15}
    arguments: ClassVar[tuple[str, ...]] = (*MoCo.arguments, "num_synthetic")

    def __init__(self, encoder: Encoder, *, num_synthetic: int = 15, **moco: Any) -> None:
        super().__init__(encoder, **moco)
        check_synthetic(num_synthetic, self.draws)
        self.num_synthetic = num_synthetic

    @staticmethod
    def check(recipe: Settings) -> None:
        """Raise ValueError where a field of MoCo's is wrong, or `check_synthetic` does."""
        MoCo.check(recipe)
        check_synthetic(recipe.num_synthetic, recipe.draws)

    @torch.no_grad()
    def hardest(self, similarities: Similarities) -> Tensor:
        """The H of each query's K negatives that are most similar to it: (n, H, D)."""
        count = self.num_negatives
        hard = min(count, max(LEAST_HARD, count // HARD_SHARE))
        keys, columns = similarities.keys, similarities.columns
        if columns is not None and hard == count:
            return keys[columns]
        places = similarities.negatives().topk(hard, dim=1, sorted=False).indices
        return keys[places if columns is None else columns.gather(1, places)]

    def forward(
        self, query_view: Tensor, key_view: Tensor, generator: torch.Generator
    ) -> Similarities:
        """Similarities of the N queries to K + J negatives each, which `num_negatives` counts.

        Arguments as in `Method.forward`; K negatives are drawn as in MoCo v2 from the same
        generator. With several processes, each has its own n of the N queries.
        """
        similarities = super().forward(query_view, key_view, generator)
        if self.num_synthetic == 0:
            return similarities
        hardest, query = self.hardest(similarities), similarities.query.detach()
        draws = Draws.of(query, self.num_synthetic, hardest.shape[1], generator)
        return with_synthetic(similarities, synthetic_negatives(query, hardest, draws))


def check_synthetic(num_synthetic: int, draws: int) -> None:
    """Raise ValueError where the six kinds cannot have their shares, or there are several draws."""
    if num_synthetic and draws > 1:
        raise ValueError(
            f"draws={draws} does not go with num_synthetic={num_synthetic}: synthetic negatives "
            "are made for one draw, leave draws at 1 or num_synthetic at 0"
        )
    if num_synthetic % sum(SHARES):
        raise ValueError(
            f"num_synthetic is {num_synthetic}, which the six kinds of synthetic negatives cannot "
            f"share 4:4:4:1:1:1: choose a multiple of {sum(SHARES)}, or 0 for none"
        )

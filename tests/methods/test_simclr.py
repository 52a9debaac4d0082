"""SimCLR against a slow loop written from its definition."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from eqco.losses.functional import info_nce
from eqco.methods.encoder import build_encoder
from eqco.methods.simclr import SimCLR

SIZE = 6


@pytest.fixture
def views(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Query and key view of six gray images."""
    query_view, key_view = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    return query_view, key_view


def simclr(**settings: object) -> SimCLR:
    """SimCLR with all negatives unless told otherwise."""
    given = {"num_negatives": 2 * SIZE - 2, **settings}
    return SimCLR(build_encoder("tiny-gray", 16, seed=0), **given)  # type: ignore[arg-type]


def test_the_loss_is_nt_xent(views: tuple[Tensor, Tensor]) -> None:
    """Cross-entropy over the other 2N - 1 embeddings, the partner being the right one."""
    method = simclr()
    found = method(*views, torch.Generator())
    loss = info_nce(found.positive, found.negatives(), temperature=0.5)
    losses = info_nce.of_logits(found, temperature=0.5, reduction="none")
    embedding = simclr().encoder(torch.cat(views))
    cosine = F.cosine_similarity(embedding[:, None], embedding[None], dim=2) / 0.5
    cosine.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * SIZE).roll(SIZE)
    torch.testing.assert_close(loss, F.cross_entropy(cosine, partner))
    torch.testing.assert_close(losses, F.cross_entropy(cosine, partner, reduction="none"))


def test_keys_carry_gradient_too(views: tuple[Tensor, Tensor]) -> None:
    """The gradient of the loss of the first direction alone reaches the key view's embedding."""
    method = simclr()
    key_view = views[1].requires_grad_(True)
    found = method(views[0], key_view, torch.Generator())
    for part in (found.positive, found.log_odds(0.2), found.negatives().sum(dim=1)):
        (gradient,) = torch.autograd.grad(part[:SIZE].sum(), key_view, retain_graph=True)
        assert gradient.abs().sum() > 0

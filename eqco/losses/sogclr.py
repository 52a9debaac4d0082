"""SogCLR's moving averages. N queries, n images of this process in a batch, M training images.

The estimate of one batch for a query is g = sum_i e^{v_i}, v_i = (s_i - s_0) / t over its K
negatives; log g is the query's gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from eqco.runtime.distributed import gather

# (log g of each query, gamma) -> log u of each query, shape (N,) both
Average = Callable[[Tensor, float], Tensor]


class MovingAverages(nn.Module):
    """The moving average u of g for every training image, as log u: float32 is enough for any t.

    u becomes (1 - gamma) u + gamma g where its image is in a batch, and g at the first time. Where
    an image has two queries (SimCLR's), each starts from its u, and the mean of both is kept.

    Args:
        total: M.

    Attributes:
        log_u: shape (M,), float32; infinite for images that were in no batch yet.

    >>> averages = MovingAverages(3)
    >>> log_u = averages.update(torch.tensor([2]), torch.tensor([1.0]).log(), 0.25)
    >>> log_u = averages.update(torch.tensor([2]), torch.tensor([5.0]).log(), 0.25)
    >>> round(log_u.exp().item(), 5), averages.log_u[:2].tolist()  # 3/4 of 1 and 1/4 of 5
    (2.0, [inf, inf])

    Source: Yuan et al., arXiv 2202.12387; the first time and two queries as in the authors' LibAUC.
    """

    log_u: Tensor

    def __init__(self, total: int) -> None:
        super().__init__()
        self.register_buffer("log_u", torch.full((total,), math.inf))

    @torch.no_grad()
    def update(self, rows: Tensor, log_g: Tensor, gamma: float) -> Tensor:
        """Move the averages of a batch; all processes then hold those of all images.

        Args:
            rows: which training images these are, shape (n,), no image twice.
            log_g: the gap of each query, shape (N,): one query for each image, or first one and
                then another for each.
            gamma: weight of the new estimate, in (0, 1].

        Returns:
            log u of each query with its own new estimate in it, shape (N,).
        """
        rows = rows.to(self.log_u.device)
        before = self.log_u[rows].repeat(len(log_g) // len(rows))
        kept = before + (math.log1p(-gamma) if gamma < 1 else -math.inf)
        moved = torch.logaddexp(kept, log_g + math.log(gamma))
        log_u = torch.where(before.isposinf(), log_g, moved)
        each = log_u.view(-1, len(rows))
        mean = torch.logsumexp(each, dim=0) - math.log(len(each))
        self.log_u[gather(rows)] = gather(mean.to(self.log_u.dtype))
        return log_u


def averaged_losses(gap: Tensor, gamma: float, average: Average | None) -> Tensor:
    """SogCLR of each query, shape (N,): log u, with the gradient (g / u) times that of the gap.

    Args:
        gap: v = log g, shape (N,).
        gamma: weight of the new estimate, in (0, 1].
        average: gives log u; None stands for the first time, u = g.
    """
    log_g = gap.detach()
    log_u = log_g if average is None else average(log_g, gamma)
    return log_u + (log_g - log_u).exp() * (gap - log_g)

"""Losses for any training loop: `EqCoLoss()(query, key)` and its family.

They take the embeddings of two views of the same images and find the negatives themselves, see
`eqco.losses.base`. SogCLR is not among them: it remembers every training image, see
`eqco.losses.sogclr`.
"""

from __future__ import annotations

from typing import Unpack

from eqco.losses.base import ContrastiveLoss, Options
from eqco.losses.rivals import HARDNESS
from eqco.runtime.validation import check_temperature, positive_finite


class InfoNCELoss(ContrastiveLoss):
    """InfoNCE, cross-entropy of picking the positive among K + 1 keys: NT-Xent in its usual form.

    See `ContrastiveLoss` for the arguments; `num_negatives` is all there are.

    >>> import torch
    >>> loss = InfoNCELoss(temperature=0.5)
    >>> loss(torch.eye(4, 8), torch.eye(4, 8)).shape
    torch.Size([])

    Source: `eqco.losses.functional.info_nce`.
    """

    name = "infonce"


class EqCoLoss(ContrastiveLoss):
    """EqCo: InfoNCE in which K negatives weigh as much as alpha negatives would.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        alpha: effective number of negatives, > 0.
        options: see `ContrastiveLoss`.

    >>> import torch
    >>> loss = EqCoLoss(num_negatives=2, alpha=256, temperature=0.2)
    >>> z = torch.eye(4, 8)
    >>> round(loss(z, z).item(), 4)  # log(1 + 256 e^-5)
    1.0024
    >>> loss(z, z, z)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: EqCoLoss takes two tensors, ...

    Source: `eqco.losses.functional.eqco_info_nce`.
    """

    name = "eqco"

    def __init__(
        self,
        num_negatives: int | None = 16,
        *,
        alpha: float = 256.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(num_negatives, **options)
        self.alpha = positive_finite("alpha", alpha)


class EqCoJackknifeLoss(EqCoLoss):
    """EqCo with its bias of few negatives taken out by leaving out each in turn, K >= 2.

    The arguments are those of `EqCoLoss`. Source: `eqco.losses.bias_corrected.eqco_jackknife`.
    """

    name = "eqco_jackknife"


class EqCoSecondOrderLoss(EqCoLoss):
    """EqCo with the leading term of its bias of few negatives added, K >= 2.

    The arguments are those of `EqCoLoss`. Source: `eqco.losses.bias_corrected.eqco_second_order`.
    """

    name = "eqco_second_order"


class DCLLoss(ContrastiveLoss):
    """Decoupled contrastive learning. Source: `eqco.losses.functional.dcl`."""

    name = "dcl"


class DCLJackknifeLoss(ContrastiveLoss):
    """DCL without its bias of few negatives, K >= 2. Source: `eqco.losses.bias_corrected`."""

    name = "dcl_jackknife"


class FlatNCELoss(ContrastiveLoss):
    """FlatNCE: always 1, with the gradient of DCL. Source: `eqco.losses.functional.flat_nce`."""

    name = "flat_nce"


class FlatNCEJackknifeLoss(ContrastiveLoss):
    """FlatNCE without its bias of few negatives, K >= 2. Source: `eqco.losses.bias_corrected`."""

    name = "flat_nce_jackknife"


class DualTemperatureLoss(ContrastiveLoss):
    """InfoNCE with each query weighted as at a second temperature.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        second_temperature: between queries, > 0.
        options: see `ContrastiveLoss`.

    Source: `eqco.losses.functional.dual_temperature`.
    """

    name = "dual_temperature"

    def __init__(
        self,
        num_negatives: int | None = None,
        *,
        second_temperature: float = 1.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(num_negatives, **options)
        self.second_temperature = check_temperature(second_temperature, "second_temperature")


class HardInfoNCELoss(ContrastiveLoss):
    """InfoNCE whose negatives weigh the more, the more similar they are.

    Args:
        num_negatives: K, drawn for each query at each call; None takes all there are.
        hardness: from 0, which is InfoNCE, to 100.
        options: see `ContrastiveLoss`.

    Source: `eqco.losses.rivals.hard_info_nce`.
    """

    name = "hard_infonce"

    def __init__(
        self,
        num_negatives: int | None = None,
        *,
        hardness: float = 1.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(num_negatives, **options)
        self.hardness = HARDNESS.check("hardness", hardness)

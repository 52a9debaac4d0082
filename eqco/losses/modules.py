"""Losses for any training loop: `EqCoLoss()(query, key)` and its family.

They take the embeddings of two views of the same images and find the negatives themselves, see
`eqco.losses.base`, which adds the arguments that all share to their docstrings. SogCLR is not among
them: it remembers every training image, see `eqco.losses.memory_bank`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from eqco.losses.base import ContrastiveLoss
from eqco.runtime.validation import HARDNESS, check_temperature, positive_finite


class InfoNCELoss(ContrastiveLoss):
    """InfoNCE, cross-entropy of picking the positive among K + 1 keys: NT-Xent in its usual form.

    >>> import torch
    >>> loss = InfoNCELoss(temperature=0.5)
    >>> loss(torch.eye(4, 8), torch.eye(4, 8)).shape
    torch.Size([])

    Source: `eqco.losses.functional.info_nce`.
    """

    name = "infonce"


@dataclass(eq=False, repr=False)
class EqCoLoss(ContrastiveLoss):
    """EqCo: InfoNCE in which K negatives weigh as much as alpha negatives would.

    Args:
        alpha: effective number of negatives, > 0.

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
    num_negatives: int | None = 16
    _: KW_ONLY
    alpha: float = 256.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alpha = positive_finite("alpha", self.alpha)


class EqCoJackknifeLoss(EqCoLoss):
    """EqCo with its bias of few negatives taken out by leaving out each in turn, K >= 2.

    Args:
        alpha: effective number of negatives, > 0.

    Source: `eqco.losses.bias_corrected.eqco_jackknife`.
    """

    name = "eqco_jackknife"


class EqCoSecondOrderLoss(EqCoLoss):
    """EqCo with the leading term of its bias of few negatives added, K >= 2.

    Args:
        alpha: effective number of negatives, > 0.

    Source: `eqco.losses.bias_corrected.eqco_second_order`.
    """

    name = "eqco_second_order"


class DCLLoss(ContrastiveLoss):
    """Decoupled contrastive learning: InfoNCE without the positive in the denominator.

    Source: `eqco.losses.functional.dcl`.
    """

    name = "dcl"


class DCLJackknifeLoss(ContrastiveLoss):
    """DCL with its bias of few negatives taken out, K >= 2.

    Source: `eqco.losses.bias_corrected.dcl_jackknife`.
    """

    name = "dcl_jackknife"


class FlatNCELoss(ContrastiveLoss):
    """FlatNCE: always 1, with the gradient of DCL.

    Source: `eqco.losses.functional.flat_nce`.
    """

    name = "flat_nce"


class FlatNCEJackknifeLoss(ContrastiveLoss):
    """FlatNCE with its bias of few negatives taken out, K >= 2.

    Source: `eqco.losses.bias_corrected.flat_nce_jackknife`.
    """

    name = "flat_nce_jackknife"


@dataclass(eq=False, repr=False)
class DualTemperatureLoss(ContrastiveLoss):
    """InfoNCE with each query weighted as at a second temperature.

    Args:
        second_temperature: between queries, > 0; the same gives InfoNCE.

    Source: `eqco.losses.functional.dual_temperature`.
    """

    name = "dual_temperature"
    _: KW_ONLY
    second_temperature: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.second_temperature, "second_temperature")


@dataclass(eq=False, repr=False)
class HardInfoNCELoss(ContrastiveLoss):
    """InfoNCE whose negatives weigh the more, the more similar they are.

    Args:
        hardness: from 0, which is InfoNCE, to 100.

    Source: `eqco.losses.functional.hard_info_nce`.
    """

    name = "hard_infonce"
    _: KW_ONLY
    hardness: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hardness = HARDNESS.check("hardness", self.hardness)

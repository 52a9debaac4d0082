"""The losses by the name that recipes give them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from eqco.losses import bias_corrected, functional
from eqco.losses.interface import LossFunction
from eqco.losses.logits import ContrastiveLogits


@dataclass(frozen=True)
class Loss:
    """A loss as recipes name it.

    Attributes:
        function: (positive, negatives, *, temperature, reduction, ...) -> loss.
        title: its name in tables and figures.
        setting: the recipe field that it needs besides the temperature, or "".
        example: a usual value of that field, for messages.
        limit: weight of the negatives in the limit of many keys where no alpha is given; None
            stands for K.
        corrects: the loss whose bias of few negatives it takes out, or "".
        averages: whether `function` takes `average`, which remembers every training image.
        baseline: whether it is compared with the family as another method, not as one of it.
    """

    function: LossFunction[...]
    title: str
    setting: str = ""
    example: float = math.nan
    limit: float | None = None
    corrects: str = ""
    averages: bool = False
    baseline: bool = False

    def losses(self, logits: ContrastiveLogits, **settings: Any) -> Tensor:
        """The loss of each query, shape (N,)."""
        return self.function.of_logits(logits, **settings)

    @property
    def fewest(self) -> int:
        """Negatives that a query needs, K at least."""
        return 2 if self.corrects else 1

    def effective_negatives(self, num_negatives: int, alpha: float | None) -> float:
        """How many negatives the K of a query weigh as much as."""
        return alpha or self.limit or float(num_negatives)


MANY = 1e300  # DCL and FlatNCE are EqCo with alpha beyond all bounds
LOSSES: dict[str, Loss] = {
    "infonce": Loss(functional.info_nce, "InfoNCE"),
    "eqco": Loss(functional.eqco_info_nce, "EqCo", "alpha", 256),
    "dcl": Loss(functional.dcl, "DCL", limit=MANY),
    "flat_nce": Loss(functional.flat_nce, "FlatNCE", limit=MANY),
    "dual_temperature": Loss(functional.dual_temperature, "dual temp.", "second_temperature", 1),
    "eqco_jackknife": Loss(
        bias_corrected.eqco_jackknife, "EqCo jackknife", "alpha", 256, corrects="eqco"
    ),
    "eqco_second_order": Loss(
        bias_corrected.eqco_second_order, "EqCo 2nd order", "alpha", 256, corrects="eqco"
    ),
    "dcl_jackknife": Loss(
        bias_corrected.dcl_jackknife, "DCL jackknife", limit=MANY, corrects="dcl"
    ),
    "flat_nce_jackknife": Loss(
        bias_corrected.flat_nce_jackknife, "FlatNCE jackknife", limit=MANY, corrects="flat_nce"
    ),
    "hard_infonce": Loss(functional.hard_info_nce, "hard InfoNCE", "hardness", 1, baseline=True),
    "sogclr": Loss(
        functional.sog_clr, "SogCLR", "sog_gamma", 0.9, limit=MANY, averages=True, baseline=True
    ),
}

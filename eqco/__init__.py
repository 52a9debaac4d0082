"""EqCo: contrastive losses whose value hardly depends on the number of negatives.

The losses and methods of arXiv 2010.01929 for use in any training loop. Names load on first use, so
that the command line answers without waiting for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqco.losses.bias_corrected import eqco_jackknife
    from eqco.losses.functional import eqco_info_nce, info_nce, margin
    from eqco.losses.logits import similarities
    from eqco.losses.modules import (
        DCLJackknifeLoss,
        DCLLoss,
        DualTemperatureLoss,
        EqCoJackknifeLoss,
        EqCoLoss,
        EqCoSecondOrderLoss,
        FlatNCEJackknifeLoss,
        FlatNCELoss,
        HardInfoNCELoss,
        InfoNCELoss,
    )
    from eqco.losses.supervised import LabelLoss

__version__ = "0.1.0"
__all__ = [
    "DCLJackknifeLoss",
    "DCLLoss",
    "DualTemperatureLoss",
    "EqCoJackknifeLoss",
    "EqCoLoss",
    "EqCoSecondOrderLoss",
    "FlatNCEJackknifeLoss",
    "FlatNCELoss",
    "HardInfoNCELoss",
    "InfoNCELoss",
    "LabelLoss",
    "__version__",
    "eqco_info_nce",
    "eqco_jackknife",
    "info_nce",
    "margin",
    "similarities",
]

MODULES = {name: "eqco.losses.modules" for name in __all__ if name != "__version__"} | {
    "LabelLoss": "eqco.losses.supervised",
    "eqco_info_nce": "eqco.losses.functional",
    "eqco_jackknife": "eqco.losses.bias_corrected",
    "info_nce": "eqco.losses.functional",
    "margin": "eqco.losses.functional",
    "similarities": "eqco.losses.logits",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in MODULES:
        raise AttributeError(f"module 'eqco' has no attribute {name!r}")
    value = getattr(import_module(MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted(__all__)

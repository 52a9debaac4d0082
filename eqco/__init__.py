"""EqCo: contrastive losses whose value hardly depends on the number of negatives.

The losses and methods of arXiv 2010.01929 for use in any training loop. Names load on first use, so
that the command line answers without waiting for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqco.contrast import eqco_info_nce, info_nce
    from eqco.corrected import eqco_jackknife
    from eqco.embeddings import similarities
    from eqco.labels import LabelLoss
    from eqco.modules import (
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
    from eqco.theory import margin

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

MODULES = {
    "DCLJackknifeLoss": "eqco.modules",
    "DCLLoss": "eqco.modules",
    "DualTemperatureLoss": "eqco.modules",
    "EqCoJackknifeLoss": "eqco.modules",
    "EqCoLoss": "eqco.modules",
    "EqCoSecondOrderLoss": "eqco.modules",
    "FlatNCEJackknifeLoss": "eqco.modules",
    "FlatNCELoss": "eqco.modules",
    "HardInfoNCELoss": "eqco.modules",
    "InfoNCELoss": "eqco.modules",
    "LabelLoss": "eqco.labels",
    "eqco_info_nce": "eqco.contrast",
    "eqco_jackknife": "eqco.corrected",
    "info_nce": "eqco.contrast",
    "margin": "eqco.theory",
    "similarities": "eqco.embeddings",
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

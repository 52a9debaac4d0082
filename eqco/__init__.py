"""EqCo: contrastive learning that does not depend on how many negatives there are.

The losses and methods of arXiv 2010.01929 for anybody's training, and what reproduces its tables.
"""

from eqco.contrast import EqCoInfoNCE, InfoNCE, eqco_info_nce, info_nce
from eqco.theory import margin

__version__ = "0.1.0"
__all__ = ["EqCoInfoNCE", "InfoNCE", "__version__", "eqco_info_nce", "info_nce", "margin"]

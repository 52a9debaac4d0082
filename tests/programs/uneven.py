"""Two processes whose batches differ in size; each prints what the loss says."""

import torch

from eqco import EqCoLoss
from eqco.runtime import distributed

distributed.start("cpu")
views = torch.randn(2, 16 - distributed.rank(), 4, requires_grad=True)
try:
    EqCoLoss(4, gather=True)(*views)
except ValueError as error:
    print(error, flush=True)
finally:
    distributed.stop()

"""Join and leave a process group with a model in a reference cycle; imports no torchvision."""

import torch

from eqco import distributed
from tests.programs.gloo import check_ended

distributed.start("cpu")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
model.cycle = model
del model
distributed.stop()
check_ended()

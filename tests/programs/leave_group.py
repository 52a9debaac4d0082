"""Join and leave a process group with a model in a reference cycle; imports no torchvision."""

from pathlib import Path

import torch

from eqco import distributed

distributed.start("cpu")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
model.cycle = model
del model
distributed.stop()
names = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in names if "gloo" in name], names

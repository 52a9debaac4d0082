"""Join a process group and leave it by an error, with a model in a reference cycle.

Imports no torchvision. The error is raised while another one is handled.
"""

import torch

from eqco.runtime import distributed
from tests.programs.gloo import check_ended


def train() -> None:
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    model.cycle = model
    raise ValueError("an error")


def chain() -> None:
    try:
        train()
    except ValueError as error:
        raise KeyError("another error") from error


distributed.start("cpu")
try:
    try:
        chain()
    finally:
        distributed.stop()
        check_ended()
except KeyError as error:
    print(type(error).__name__)

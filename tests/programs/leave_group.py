"""Join and leave a process group, at the end or by an error; imports no torchvision.

Usage: python -m tests.programs.leave_group end|error|chain; with a model in a reference cycle
"""

import sys

import torch

from eqco.runtime import distributed
from tests.programs.gloo import check_ended

how = sys.argv[1]


def train() -> None:
    """Hold a model, and fail where the argument says so."""
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    model.cycle = model
    if how != "end":
        raise ValueError("an error")


def chain() -> None:
    """Raise another error while the first is handled."""
    try:
        train()
    except ValueError as error:
        raise KeyError("another error") from error


distributed.start("cpu")
try:
    try:
        chain() if how == "chain" else train()
    finally:
        distributed.stop()
        check_ended()
except (ValueError, KeyError) as error:
    print(type(error).__name__)

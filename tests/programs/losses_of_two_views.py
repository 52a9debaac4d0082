"""Two steps of losses of two views in DDP, on one or several processes; rank 0 writes the outcome.

Usage: python -m tests.programs.losses_of_two_views OUT.pt
"""

import sys
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from eqco import EqCoLoss
from eqco.runtime import distributed
from tests.programs.gloo import check_ended
from tests.runtime.test_distributed import LOSS_OPTIONS

torch.set_num_threads(1)
distributed.start("cpu")
found = {}


def steps(name: str, options: dict[str, Any]) -> None:
    """Put the loss and all gradients of two steps into `found`."""
    torch.manual_seed(0)
    encoder: nn.Module = nn.Linear(6, 8).double()
    images = torch.randn(2, 2, 8, 6, dtype=torch.float64)  # steps, views, N, features
    size = 8 // distributed.world_size()
    rows = slice(distributed.first_index(size), distributed.first_index(size) + size)
    model = DistributedDataParallel(encoder) if distributed.world_size() > 1 else encoder
    drawing = torch.Generator().manual_seed(1)
    loss = EqCoLoss(gather=True, generator=drawing, **options)
    for step, views in enumerate(images):
        model.zero_grad()
        query, key = model(views[:, rows].flatten(0, 1)).chunk(2)
        value = loss(query, key)
        value.backward()
        found[f"{name}/loss{step}"] = distributed.mean_over_ranks(value.detach())
        for weight, parameter in encoder.named_parameters():
            found[f"{name}/{weight}{step}"] = parameter.grad.clone()


for name, options in LOSS_OPTIONS.items():
    steps(name, options)
if distributed.rank() == 0:
    torch.save(found, sys.argv[1])
distributed.wait()
distributed.stop()
check_ended()

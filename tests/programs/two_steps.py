"""Two steps of recipes and of losses in DDP, on one or several processes.

Rank 0 writes losses, gradients and queues. In float64, so that another order of summation is not
mistaken for another gradient.

Usage: python -m tests.programs.two_steps OUT.pt
"""

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from eqco import EqCoLoss
from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.in_memory import InMemory
from eqco.engine import pretrain
from eqco.recipe import Recipe
from eqco.runtime import distributed
from tests.programs.gloo import check_ended
from tests.runtime.test_distributed import LOSS_OPTIONS, RECIPES

out = Path(sys.argv[1])
torch.set_num_threads(1)
distributed.start("cpu")
build, view = pretrain.build, InMemory.view
pretrain.build = lambda *given: build(*given).double()
InMemory.view = lambda *given, **named: view(*given, **named).double()
tensors = {}


def steps(name: str, recipe: Recipe) -> None:
    """Put the loss and all gradients of two steps of a recipe into `tensors`."""
    machine = Machine(threads=1, checkpoints=out.parent)
    work = pretrain.Pretraining(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    for step in range(2):
        work.optimizer.zero_grad()
        work.step = step
        loss = work.loss(work.images.views(step))
        loss.backward()
        tensors[f"{name}/loss{step}"] = distributed.mean_over_ranks(loss.detach())
        for key, value in work.method.encoder.named_parameters():
            tensors[f"{name}/{key}{step}"] = value.grad.clone()
        work.optimizer.step()
    if work.averages is not None:
        tensors[f"{name}/averages"] = work.averages.log_u.clone()
    if recipe.queue_size:
        tensors[f"{name}/queue"] = work.method.state_dict()["queue"].clone()  # with the last keys
    work.cycle = work  # a reference cycle: stop() must end the threads of gloo nevertheless


def loss_steps(name: str, options: dict[str, Any]) -> None:
    """Put the loss and all gradients of two steps of a loss into `tensors`."""
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
        tensors[f"{name}/loss{step}"] = distributed.mean_over_ranks(value.detach())
        for weight, parameter in encoder.named_parameters():
            tensors[f"{name}/{weight}{step}"] = parameter.grad.clone()


for name, recipe in RECIPES.items():
    steps(name, recipe)
for name, options in LOSS_OPTIONS.items():
    loss_steps(name, options)
if distributed.rank() == 0:
    torch.save(tensors, out)
distributed.wait()
distributed.stop()
check_ended()

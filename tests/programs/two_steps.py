"""Two steps of each recipe on one or several processes; rank 0 writes losses, gradients, queues.

In float64, so that another order of summation is not mistaken for another gradient.

Usage: python -m tests.programs.two_steps OUT.pt whole|broken [RECIPE...]; all recipes by default
"""

import sys
from pathlib import Path

import torch

from eqco.artifacts.run_files import Run
from eqco.config import Machine
from eqco.data import open_images
from eqco.data.in_memory import InMemory
from eqco.engine import pretrain
from eqco.recipe import Recipe
from eqco.runtime import distributed
from tests.programs.gloo import check_ended
from tests.runtime.test_distributed import RECIPES

out, gather = sys.argv[1:3]
torch.set_num_threads(1)
if gather == "broken":
    distributed.Gather.backward = staticmethod(
        lambda ctx, g: g.chunk(distributed.world_size())[distributed.rank()]
    )
distributed.start("cpu")
build, view = pretrain.build, InMemory.view
pretrain.build = lambda *given: build(*given).double()
InMemory.view = lambda *given: view(*given).double()
found = {}


def steps(name: str, recipe: Recipe) -> None:
    """Put the loss and all gradients of two steps into `found`."""
    machine = Machine(threads=1, checkpoints=Path(out).parent)
    work = pretrain.Pretraining(Run(recipe, 0, machine), open_images(recipe, 0, machine))
    for step in range(2):
        work.optimizer.zero_grad()
        work.step = step
        loss = work.loss(work.images.views(step))
        loss.backward()
        found[f"{name}/loss{step}"] = distributed.mean_over_ranks(loss.detach())
        for key, value in work.method.encoder.named_parameters():
            found[f"{name}/{key}{step}"] = value.grad.clone()
        work.optimizer.step()
    if work.averages is not None:
        found[f"{name}/averages"] = work.averages.log_u.clone()
    if recipe.queue_size:
        found[f"{name}/queue"] = work.method.state_dict()["queue"].clone()  # with the last keys
    work.cycle = work  # a reference cycle: stop() must end the threads of gloo nevertheless


for name in sys.argv[3:] or RECIPES:
    steps(name, RECIPES[name])
if distributed.rank() == 0:
    torch.save(found, out)
distributed.wait()
distributed.stop()
check_ended()

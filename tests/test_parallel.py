"""Two real processes compute what one computes: loss, every gradient, and the queue."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from eqco import parallel
from eqco.recipe import SCALES, Recipe

ROOT = Path(__file__).resolve().parents[1]

# Two steps of each recipe on one or several processes; rank 0 writes what came out. In float64, so
# that another order of summation is not mistaken for another gradient.
STEPS = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from eqco import feed, parallel, pretrain
from eqco.data import load
from eqco.recipe import Machine
from tests.test_parallel import RECIPES

out, broken = sys.argv[1:3]
if broken == "broken":
    parallel.Gather.backward = staticmethod(
        lambda ctx, g: g.chunk(parallel.world_size())[parallel.rank()]
    )
parallel.start("cpu")
build, view = pretrain.build, feed.InMemory.view
pretrain.build = lambda *given: build(*given).double()
feed.InMemory.view = lambda *given: view(*given).double()
found = {}
def steps(name, recipe):
    data = load(recipe.data, recipe.data_part, Path("."))
    run = pretrain.Run(recipe, 0, data, Machine(threads=1, checkpoints=Path(out).parent))
    for step in range(2):
        run.optimizer.zero_grad()
        run.step = step
        loss = run.loss(run.feed.views(step))
        loss.backward()
        found[f"{name}/loss{step}"] = parallel.mean_over_ranks(loss.detach())
        for key, value in run.method.encoder.named_parameters():
            found[f"{name}/{key}{step}"] = value.grad.clone()
        run.optimizer.step()
    if recipe.method == "moco":
        found[f"{name}/queue"] = run.method.queue.clone()
    run.cycle = run  # as whoever holds it in one: stop() must end its threads nevertheless
for name, recipe in RECIPES.items():
    steps(name, recipe)
if parallel.rank() == 0:
    torch.save(found, out)
parallel.wait()
parallel.stop()
tasks = Path("/proc/self/task")  # where the system has one
left = [name.read_text().strip() for name in tasks.glob("*/comm")]
working = [name for name in left if "gloo" in name]
assert not working, f"still at work, which aborts the process at its end: {working}"
"""

# What a training of one's own needs of the package, and nothing that imports torchvision.
ALONE = """
from pathlib import Path
import torch
from eqco import parallel

parallel.start("cpu")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
model.cycle = model
del model
parallel.stop()
names = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in names if "gloo" in name], names
"""

BASE = replace(
    SCALES["smoke"].base, batch_size=16, num_negatives=5, embedding_dim=16, precision="float32"
)
RECIPES: dict[str, Recipe] = {
    "simo": BASE,
    "simo-shared": replace(BASE, drawing="shared"),
    "simo-eqco-full": replace(BASE, loss="eqco", alpha=16.0, num_negatives=15),
    "moco": replace(
        BASE, method="moco", queue_size=40, num_negatives=7, bn_splits=4, projector="mlp"
    ),
    "simclr": replace(BASE, method="simclr"),
    "simclr-full": replace(BASE, method="simclr", num_negatives=30, loss="dcl"),
}


Outcome = dict[str, torch.Tensor]
Launch = Callable[..., Outcome]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Launch:
    """What some processes find in two steps of each recipe; computed once."""
    folder = tmp_path_factory.mktemp("parallel")
    script = folder / "steps.py"
    script.write_text(STEPS, encoding="utf-8")

    @cache
    def found(processes: int, gather: str = "whole") -> Outcome:
        out = folder / f"{processes}-{gather}.pt"
        launch = [sys.executable]
        if processes > 1:
            launch += ["-m", "torch.distributed.run", "--standalone"]
            launch += [f"--nproc-per-node={processes}"]
        done = subprocess.run(
            [*launch, str(script), str(out), gather],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[:3000]
        loaded: Outcome = torch.load(out, weights_only=True)
        return loaded

    return found


def differing(name: str, one: Outcome, two: Outcome) -> list[str]:
    """Names of the tensors of a recipe that two outcomes disagree on."""
    assert one.keys() == two.keys()
    mine = [key for key in one if key.startswith(f"{name}/")]
    assert len(mine) > 10
    return [key for key in mine if not torch.allclose(one[key], two[key], rtol=1e-5, atol=1e-9)]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_two_processes_equal_one(name: str, outcome: Launch) -> None:
    assert differing(name, outcome(1), outcome(2)) == []


def test_the_comparison_fails_where_the_gather_drops_gradient(outcome: Launch) -> None:
    wrong = differing("simclr", outcome(1), outcome(2, "broken"))
    assert "simclr/loss0" not in wrong  # the loss does not show it
    assert any(name.endswith("weight0") for name in wrong)


def test_no_thread_of_gloo_outlives_the_processes_that_train(environment: dict[str, str]) -> None:
    launched = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env=environment | launched, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[:3000]


def test_one_process_gathers_nothing() -> None:
    local = torch.ones(3, requires_grad=True)
    assert parallel.gather(local) is local
    assert parallel.world_size() == 1
    assert parallel.rank() == 0
    assert parallel.mean_over_ranks(local) is local


def test_synced_batch_norm_on_one_process_is_batch_norm(generator: torch.Generator) -> None:
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = parallel.SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    torch.testing.assert_close(synced(images), plain(images))


def test_synced_batch_norm_keeps_the_type_that_autocast_gave_it(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """Statistics are float32 whatever comes in; two pretended processes hold the same images."""
    monkeypatch.setattr(parallel, "world_size", lambda: 2)
    monkeypatch.setattr(parallel.dist, "all_reduce", lambda tensor: tensor.mul_(2))
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = parallel.SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    out = synced(images.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain(images), atol=0.05, rtol=0.05)
    assert synced.running_var.dtype == torch.float32

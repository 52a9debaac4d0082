"""Two real processes compute what one computes: loss, every gradient, and the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from eqco.methods.encoder import build_encoder
from eqco.recipe import Recipe
from eqco.runtime import distributed
from reproductions.scales import SCALES
from tests.fake_cuda import Counted, group_of
from tests.processes import python, torchrun

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
    "moco-few": replace(BASE, method="moco", queue_size=40, num_negatives=1, bn_splits=4),
    "synco": replace(
        BASE, method="synco", queue_size=40, num_negatives=20, bn_splits=4, num_synthetic=15
    ),
    "sogclr": replace(BASE, data_part=0.001, loss="sogclr", sog_gamma=0.5),
    "sogclr-simclr": replace(BASE, data_part=0.001, method="simclr", loss="sogclr", sog_gamma=0.5),
    "simclr": replace(BASE, method="simclr"),
    "simclr-few": replace(BASE, method="simclr", num_negatives=1),
    "simo-jackknife": replace(BASE, loss="eqco_jackknife", alpha=16.0),
    "simo-second-order": replace(
        BASE, loss="eqco_second_order", alpha=16.0, num_negatives=3, draws=4, drawing="shared"
    ),
    "moco-jackknife": replace(
        BASE, method="moco", queue_size=40, bn_splits=4, loss="dcl_jackknife", draws=8
    ),
    "simclr-jackknife": replace(BASE, method="simclr", loss="flat_nce_jackknife", draws=6),
    "simclr-full": replace(BASE, method="simclr", num_negatives=30, loss="dcl"),
}


LOSS_OPTIONS: dict[str, dict[str, Any]] = {
    "two-sided": {"num_negatives": 5},
    "two-sided-all": {"num_negatives": None},
    "one-sided": {"num_negatives": 5, "two_sided": False},
    "queue": {"num_negatives": 5, "queue_size": 24},
    "queue-all": {"num_negatives": None, "queue_size": 24},
}
Outcome = dict[str, torch.Tensor]
Launch = Callable[..., Outcome]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """What some processes find in two steps of each recipe and loss; computed once."""
    folder = tmp_path_factory.mktemp("distributed")

    @cache
    def found(processes: int) -> Outcome:
        out = folder / f"{processes}.pt"
        if processes == 1:
            python("-m", "tests.programs.two_steps", out)
        else:
            torchrun("tests.programs.two_steps", out)
        loaded: Outcome = torch.load(out, weights_only=True)
        return loaded

    return found


def differing(name: str, one: Outcome, two: Outcome) -> list[str]:
    """Names of the tensors of a recipe that two outcomes disagree on."""
    mine, theirs = ([key for key in each if key.startswith(f"{name}/")] for each in (one, two))
    assert mine == theirs
    assert len(mine) > 10
    return [key for key in mine if not torch.allclose(one[key], two[key], rtol=1e-5, atol=1e-9)]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_two_processes_equal_one(name: str, outcome: Launch) -> None:
    assert differing(name, outcome(1), outcome(2)) == []


@pytest.mark.parametrize("options", LOSS_OPTIONS)
def test_a_loss_of_two_views_is_the_same_on_two_processes(options: str, outcome: Launch) -> None:
    one, two = outcome(1), outcome(2)
    names = [name for name in one if name.startswith(f"{options}/")]
    assert len(names) == 6
    for name in names:
        torch.testing.assert_close(one[name], two[name], rtol=1e-12, atol=1e-15)


def test_no_thread_of_gloo_outlives_its_process_group() -> None:
    """Though an error that is raised while another is handled keeps a model alive."""
    launched = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    assert python("-m", "tests.programs.leave_group", **launched).stdout == "KeyError\n"


def test_a_process_that_does_not_answer_is_given_up_but_at_a_wait() -> None:
    printed = torchrun("tests.programs.silent")
    assert printed.count("another process has ended, or has not answered for") == 2


def test_what_is_gathered_and_batch_norm_as_on_gpus() -> None:
    """Batches of different sizes are one sentence on each process: gloo would end with SIGABRT."""
    printed = torchrun("tests.programs.two_ranks")
    assert printed.count("shapes (16, 4), (15, 4): they must have batches of one size") == 2


def test_buffers_are_averaged_by_one_collective() -> None:
    with group_of(8), Counted() as counted:
        distributed.average_buffers(build_encoder("small-rgb", 16, seed=0))
    assert counted.collectives == {"allreduce_": 1}

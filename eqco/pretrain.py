"""The pretraining loop: recipe and seed in, trained encoder out, resumable at every moment.

Batches, views and negatives of a step depend on (seed, epoch, step) alone, so a checkpoint needs
no generator state and a resumed run is, on one CPU, the uninterrupted one bit for bit.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from eqco.checkpoint import TrainingError, checkpoint_path, hold, load, save
from eqco.contrast import LOSSES
from eqco.encoder import build_encoder
from eqco.feed import Data, feed_of
from eqco.moco import MoCo
from eqco.parallel import (
    agreed,
    average_buffers,
    mean_over_ranks,
    rank,
    use_synced_batch_norm,
    world_size,
)
from eqco.recipe import Machine, Recipe
from eqco.simclr import SimCLR
from eqco.simo import SiMo
from eqco.views import generator_for

Method = SiMo | MoCo | SimCLR
Progress = Callable[[str, int, int, float], None]  # stage, step, steps, loss

# On a GPU the processor must not wait for every step's loss, nor processes agree at every step.
STEPS_BETWEEN_LOOKS = 10


@dataclass
class Trained:
    """Outcome of pretraining.

    Attributes:
        method: with the query encoder at `method.encoder`.
        steps: optimiser steps in all.
        curve: (step, loss) pairs, evenly spaced, at most about 50.
        seconds: wall time of training, all sessions of a resumed run together.
        resumed: how often the run was resumed.
    """

    method: Method
    steps: int
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    resumed: int = 0


def learning_rate_at(step: int, steps: int, warmup_steps: float, peak: float) -> float:
    """Linear warm-up from a thousandth of the peak, multiplied into a cosine to zero.

    Args:
        step: 0 .. steps - 1.
        steps: of the whole run.
        warmup_steps: steps until the factor is 1.
        peak: the recipe's learning rate.
    """
    warm = min(1.0, 0.001 + 0.999 * step / warmup_steps) if warmup_steps else 1.0
    return peak * warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def build(recipe: Recipe, seed: int, device: str) -> Method:
    """The method of a recipe with fresh weights; its batch norm spans all processes."""
    encoder = build_encoder(recipe.backbone, recipe.embedding_dim, seed, recipe.projector)
    drawn = {"num_negatives": recipe.num_negatives, "drawing": recipe.drawing}
    method: Method
    if recipe.method == "moco":
        method = MoCo(
            encoder,
            queue_size=recipe.queue_size,
            seed=seed,
            key_momentum=recipe.key_momentum,
            bn_splits=recipe.bn_splits,
            **drawn,  # type: ignore[arg-type]
        )
    else:
        use_synced_batch_norm(encoder, device)
        if recipe.method == "simclr":
            method = SimCLR(encoder, **drawn)  # type: ignore[arg-type]
        else:
            method = SiMo(encoder, key_momentum=recipe.key_momentum, **drawn)  # type: ignore[arg-type]
    return method.to(device).to(memory_format=torch.channels_last)


class Run:
    """One pretraining run: its state, a step, and saving and restoring it."""

    def __init__(self, recipe: Recipe, seed: int, data: Data, machine: Machine) -> None:
        self.feed = feed_of(data, recipe, seed, machine)
        total = self.feed.shuffle.total
        if recipe.batch_size > total:
            raise TrainingError(
                f"batch_size is {recipe.batch_size}, but the data has only {total} training "
                "images: choose a smaller batch"
            )
        if recipe.batch_size % world_size():
            raise TrainingError(
                f"batch_size is {recipe.batch_size}, which {world_size()} processes cannot share "
                "equally: choose a number of processes that divides it"
            )
        self.recipe, self.seed, self.machine = recipe, seed, machine
        self.per_epoch = self.feed.shuffle.per_epoch
        self.steps = self.per_epoch * recipe.epochs
        self.method = build(recipe, seed, machine.device)
        self.forward: nn.Module = self.method
        if world_size() > 1:  # averages the gradient over the processes
            with warnings.catch_warnings():  # torch 2.14 renames the option, 2.9 needs the old name
                warnings.simplefilter("ignore", FutureWarning)
                self.forward = DistributedDataParallel(self.method, broadcast_buffers=False)
        if machine.compile:
            for encoder in {self.method.encoder, self.method.key_encoder}:
                encoder.compile()
        self.optimizer = torch.optim.SGD(
            self.method.encoder.parameters(),
            recipe.learning_rate,
            momentum=recipe.sgd_momentum,
            weight_decay=recipe.weight_decay,
        )
        self.step = 0
        self.trained = Trained(self.method, self.steps)
        self.value = math.nan

    def loss(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """The loss of this step's views."""
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(self.machine.device.split(":")[0], torch.bfloat16, enabled=low):
            positive, negatives = self.forward(
                *views, generator_for(self.seed, "negatives", self.step)
            )
        return LOSSES[self.recipe.loss](positive, negatives, **self.recipe.loss_settings())

    @property
    def looks(self) -> bool:
        """Whether this step's loss is read: always on a CPU, where reading costs nothing."""
        of_curve = self.step % max(1, self.steps // 50) == 0
        last = self.step == self.steps - 1
        on_cpu = self.machine.device == "cpu"
        return on_cpu or of_curve or last or self.step % STEPS_BETWEEN_LOOKS == 0

    def advance(self) -> float:
        """One optimiser step; returns the loss before it, or on a GPU that of a few steps ago.

        Raises:
            TrainingError: the loss is not finite.
            ValueError: an image cannot be read.
        """
        warmup = self.recipe.warmup_epochs * self.per_epoch
        rate = learning_rate_at(self.step, self.steps, warmup, self.recipe.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        views = self.feed.views(self.step)
        try:
            loss = self.loss(views)
        except ValueError as error:
            raise self.diverged(str(error)) from error
        if self.looks:
            self.value = mean_over_ranks(loss).item()
            if not math.isfinite(self.value):
                raise self.diverged(f"the loss is {self.value}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.step % max(1, self.steps // 50) == 0 or self.step == self.steps - 1:
            self.trained.curve.append((self.step, self.value))
        self.step += 1
        return self.value

    def due(self, seconds: float) -> bool:
        """Whether to save now; every process follows the first one's clock."""
        if self.step == self.steps:
            return True
        if self.machine.device != "cpu" and self.step % STEPS_BETWEEN_LOOKS:
            return False
        return agreed(seconds > self.machine.checkpoint_seconds, self.machine.device)

    def check_weights(self) -> None:
        """Raise TrainingError where a weight is not finite: such a state is never saved."""
        for name, value in self.method.encoder.named_parameters():
            if not torch.isfinite(value).all():
                raise self.diverged(f"{name} is not finite")

    def diverged(self, why: str) -> TrainingError:
        """The error of a run that left the finite numbers."""
        return TrainingError(
            f"{self.recipe.run_id(self.seed)} diverged at step {self.step} of {self.steps} "
            f"({why}): lower learning_rate {self.recipe.learning_rate}; the last good checkpoint "
            "is kept"
        )

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs."""
        return {
            "digest": self.recipe.digest(),
            "recipe": asdict(self.recipe),
            "seed": self.seed,
            "step": self.step,
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curve": self.trained.curve,
            "seconds": self.trained.seconds,
            "resumed": self.trained.resumed,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        self.trained.curve = [tuple(pair) for pair in state["curve"]]
        self.trained.seconds = state["seconds"]
        self.trained.resumed = state["resumed"] + 1


def trained_encoder(path: Path, recipe: Recipe | None = None) -> tuple[Method, Recipe, int]:
    """The method in a checkpoint, its recipe and seed.

    Args:
        path: a checkpoint.
        recipe: its recipe, for early checkpoints, which do not hold it.

    Raises:
        TrainingError: the file is missing, damaged, of another recipe, or does not hold its recipe.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        digest, seed, weights = state["digest"], state["seed"], state["method"]
    except Exception as error:
        raise TrainingError(f"checkpoint {path} cannot be read ({error})") from error
    if recipe is None and "recipe" not in state:
        raise TrainingError(f"checkpoint {path} does not hold its recipe: give --record with it")
    recipe = recipe or Recipe.of(state["recipe"])
    if recipe.digest() != digest:
        raise TrainingError(
            f"checkpoint {path} is of recipe {digest}, the record of {recipe.digest()}"
        )
    method = build(recipe, seed, "cpu")
    method.load_state_dict(weights)
    return method, recipe, seed


def pretrain(
    recipe: Recipe, seed: int, data: Data, machine: Machine, progress: Progress | None = None
) -> Trained:
    """Train the encoder of a recipe, resuming from its checkpoint where there is one.

    Args:
        recipe: what to train.
        seed: of weights, batches, views and negatives.
        data: training images, already on the device, or a tree of image files.
        machine: device, threads, checkpoint folder.
        progress: called after each step with ("training", step, steps, loss).

    Returns:
        The trained method; its checkpoint stays in `machine.checkpoints`.

    Raises:
        TrainingError: divergence, a foreign checkpoint, or another process on the same run.
    """
    torch.set_num_threads(machine.threads)
    path = checkpoint_path(recipe, seed, machine)
    with hold(recipe, seed, machine):
        run = Run(recipe, seed, data, machine)
        if path.exists():
            run.restore(load(path, recipe.digest(), seed))
        before, started = run.trained.seconds, time.monotonic()
        saved = started
        while run.step < run.steps:
            value = run.advance()
            clock = time.monotonic()
            run.trained.seconds = before + clock - started
            if run.due(clock - saved):
                run.check_weights()
                average_buffers(run.method)
                if rank() == 0:
                    save(path, run.state())
                saved = clock
            if progress:
                progress("training", run.step, run.steps, value)
    return run.trained

"""Pretraining: recipe and seed in, trained encoder out, resumable after every step.

Batches, views and negatives of a step depend on (seed, epoch, step) alone, so a checkpoint needs
no generator state and a resumed run is, on one CPU, the uninterrupted one bit for bit.
"""

from __future__ import annotations

import math
import warnings
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from eqco.artifacts.record_schema import FINITE, WHOLE
from eqco.artifacts.run_files import Run
from eqco.data import TrainingViews
from eqco.engine.precision import emulation
from eqco.engine.progress import Progress
from eqco.engine.trainer import STEPS_BETWEEN_READS, Trainer
from eqco.losses.functional import variance_penalty
from eqco.losses.memory_bank import MovingAverages
from eqco.losses.registry import LOSSES
from eqco.methods import build
from eqco.methods.ahead import STEPS as STEPS_AHEAD
from eqco.methods.ahead import Ahead
from eqco.recipe import Recipe
from eqco.runtime.distributed import average_buffers, mean_over_ranks, world_size
from eqco.runtime.resumable import ResumableTask, restore_optimizer
from eqco.runtime.rng import generator_for
from eqco.runtime.validation import TrainingError

CURVE_POINTS = 50


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


def readable(value: Tensor) -> Callable[[], float]:
    """A function that reads a number; until it is called, the processor does not wait for a GPU."""
    if value.device.type != "cuda":
        return value.item
    number = value.to("cpu", non_blocking=True)  # into pinned memory
    copied = torch.cuda.current_stream().record_event()

    def read() -> float:
        copied.synchronize()
        return number.item()

    return read


def check_sharing(recipe: Recipe, processes: int) -> None:
    """Raise ValueError where that number of processes cannot share the batches of a recipe."""
    if recipe.batch_size % processes:
        raise ValueError(
            f"{processes} processes cannot share a batch of {recipe.batch_size} equally: choose a "
            "number that divides it"
        )
    if recipe.bn_splits > 1 and recipe.bn_splits % processes:
        raise ValueError(
            f"bn_splits is {recipe.bn_splits}, which {processes} processes cannot share equally"
        )


class Pretraining(ResumableTask):
    """Encoder, optimiser and a step of a recipe; work for `eqco.engine.trainer`."""

    def __init__(self, run: Run, images: TrainingViews) -> None:
        self.run, self.images, total = run, images, images.shuffle.total
        recipe, seed, machine = run.recipe, run.seed, run.machine
        if recipe.batch_size > total:
            raise TrainingError(
                f"batch_size is {recipe.batch_size}, but the data has only {total} training "
                f"images: add images, or make a recipe whose batch_size is {total} at most"
            )
        check_sharing(recipe, world_size())
        if slow := emulation(recipe.precision, machine.device):
            warnings.warn(f"{slow}: use a GPU or float32", RuntimeWarning, stacklevel=2)
        self.recipe, self.seed, self.machine = recipe, seed, machine
        self.per_epoch = images.shuffle.per_epoch
        self.steps = self.per_epoch * recipe.epochs
        self.method = build(recipe, seed, machine.device)
        self.forward: nn.Module = self.method
        if world_size() > 1:  # averages the gradient over the processes
            with warnings.catch_warnings():  # torch 2.14 renames the option, 2.9 needs the old name
                warnings.simplefilter("ignore", FutureWarning)
                # No static_graph: what DDP would have to see is inside Similarities, and the
                # processes' gradients would differ without an error.
                self.forward = DistributedDataParallel(
                    self.method, broadcast_buffers=False, gradient_as_bucket_view=True
                )
        if machine.compile:
            for encoder in {self.method.encoder, self.method.key_encoder}:
                encoder.compile()
        self.optimizer = torch.optim.SGD(
            self.method.encoder.parameters(),
            recipe.learning_rate,
            momentum=recipe.sgd_momentum,
            weight_decay=recipe.weight_decay,
            fused=machine.device.split(":")[0] in ("cpu", "cuda"),
        )
        remembers = LOSSES[recipe.loss].averages
        self.averages = MovingAverages(total).to(machine.device) if remembers else None
        if machine.device.startswith("cuda"):  # a CPU that trains has no core to spare
            self.method.ahead = Ahead(self.coming)
        self.curve: list[tuple[int, float]] = []
        self.value = math.nan
        self.lag = 0 if machine.device == "cpu" else STEPS_BETWEEN_READS
        self.unread = deque[tuple[int, Callable[[], float]]]()

    def coming(self) -> list[torch.Generator]:
        """Fresh generators of the negatives of the next steps."""
        end = min(self.steps, self.step + 1 + STEPS_AHEAD)
        return [generator_for(self.seed, "negatives", step) for step in range(self.step + 1, end)]

    def loss(self, views: tuple[Tensor, Tensor]) -> Tensor:
        """The loss of this step's views."""
        low = self.recipe.precision == "bfloat16"
        with torch.autocast(self.machine.device.split(":")[0], torch.bfloat16, enabled=low):
            similarities = self.forward(*views, generator_for(self.seed, "negatives", self.step))
        losses, settings = LOSSES[self.recipe.loss].losses, self.recipe.loss_settings()
        if self.averages is not None:
            rows = self.images.shuffle.rows(self.step)[1]
            losses = partial(losses, average=partial(self.averages.update, rows))
        loss = losses(similarities, **settings).mean()
        if self.recipe.variance_penalty:
            penalty = variance_penalty(similarities.negatives(), self.images.shuffle.total)
            loss = loss + self.recipe.variance_penalty * penalty
        return loss

    def is_point(self, step: int) -> bool:
        """Whether the loss of a step is a point of the curve."""
        return step % max(1, self.steps // CURVE_POINTS) == 0 or step == self.steps - 1

    @property
    def reads_loss(self) -> bool:
        """Whether this step's loss is read: always on a CPU, where reading costs nothing."""
        on_cpu = self.machine.device == "cpu"
        return on_cpu or self.is_point(self.step) or self.step % STEPS_BETWEEN_READS == 0

    def advance(self) -> float:
        """One optimiser step; returns the loss before it, or on a GPU that of some steps ago.

        Raises:
            TrainingError: the loss is not finite.
            ValueError: an image cannot be read.
        """
        warmup = self.recipe.warmup_epochs * self.per_epoch
        rate = learning_rate_at(self.step, self.steps, warmup, self.recipe.learning_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        views = self.images.views(self.step)
        loss = self.loss(views)
        self.optimizer.zero_grad(set_to_none=True)
        (loss * self.recipe.loss_scale).backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if self.reads_loss:
            self.unread.append((self.step, readable(mean_over_ranks(loss.detach()))))
        self.step += 1
        first = math.isnan(self.value)  # of this session
        self.read_losses(self.step if first else self.step - self.lag)
        return self.value

    def read_losses(self, before: int) -> None:
        """Read the losses of the steps before one, into the curve where they are points of it.

        Raises:
            TrainingError: a loss is not finite.
        """
        while self.unread and self.unread[0][0] < before:
            step, read = self.unread.popleft()
            self.value = read()
            if not math.isfinite(self.value):
                raise self.diverged(f"the loss is {self.value}", step)
            if self.is_point(step):
                self.curve.append((step, self.value))

    def check_weights(self) -> None:
        """Raise TrainingError where a weight is not finite: such a state is never saved."""
        state = self.method.encoder.state_dict()
        floating = [value for value in state.values() if value.is_floating_point()]
        if torch.nn.utils.get_total_norm(floating, math.inf).isfinite():  # a GPU is asked once
            return
        name = next(name for name, value in state.items() if not torch.isfinite(value).all())
        raise self.diverged(f"{name} is not finite", self.step)

    def diverged(self, why: str, step: int) -> TrainingError:
        """The error of a run with a loss or weight that is not finite after some steps."""
        path = self.run.checkpoint
        kept = f"{path} is of an earlier step" if path.exists() else "it has no checkpoint"
        return TrainingError(
            f"{self.run.run_id} diverged at step {step} of {self.steps} "
            f"({why}), and would again: lower learning_rate {self.recipe.learning_rate:g} "
            f"(eqco train --learning-rate); {kept}"
        )

    def state(self) -> dict[str, Any]:
        """What a resumed run needs besides the step; running statistics become those of all.

        Raises:
            TrainingError: a loss or a weight is not finite.
        """
        self.read_losses(self.step)
        self.check_weights()
        average_buffers(self.method)
        state = {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "curve": self.curve,
        }
        if self.averages is not None:
            state["averages"] = self.averages.state_dict()
        return state

    def restore(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        restore_optimizer(self.optimizer, state["optimizer"], self.step)
        if self.averages is not None:
            self.averages.load_state_dict(state["averages"])
            seen = min(self.step, self.per_epoch) * self.recipe.batch_size
            if self.averages.log_u.isfinite().sum() < seen:
                raise ValueError(f"its averages are not those of {self.step} steps")
        curve = [(WHOLE.check("step", s), FINITE.check("loss", v)) for s, v in state["curve"]]
        if [s for s, _ in curve] != [s for s in range(self.step) if self.is_point(s)]:
            raise ValueError(f"its loss curve is not that of {self.step} steps")
        self.curve = curve


def pretrain(
    run: Run, images: TrainingViews, progress: Progress | None = None
) -> Trainer[Pretraining]:
    """Train the encoder of a run that is held, resuming from its checkpoint where there is one.

    `progress` is called after each step with ("training", step, steps, loss).

    Returns:
        The trainer, with the trained method at `task.method`; its checkpoint stays.

    Raises:
        TrainingError: divergence, or a foreign checkpoint.
    """
    trainer = Trainer(Pretraining(run, images), run, run.checkpoint, "training")
    trainer.train(progress)
    return trainer

"""Tasks that are trained in steps and can be resumed: pretraining and probes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch.optim import Optimizer


class ResumableTask(ABC):
    """Base class; `eqco.engine.trainer` trains it. Each process has its own instance."""

    step = 0  # steps done
    steps = 0  # all there are

    @abstractmethod
    def advance(self) -> float:
        """Do one step or several; returns a loss to show."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What `restore` needs besides the step; it must be finite."""

    def fits(self, state: dict[str, Any]) -> bool:
        """Whether to continue from a state of the same recipe and seed."""
        return True

    @abstractmethod
    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was taken; `step` is set already.

        An error (KeyError, ValueError, RuntimeError) says that no such state was ever saved.
        """


SET_BY_RECIPE = ("momentum", "weight_decay")


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any], step: int) -> None:
    """Load the state of SGD after `step` steps.

    Raises:
        ValueError: a momentum is missing or has another shape, which torch would take for a first
            step; or a setting is not the recipe's.
    """
    settings = [[group[name] for name in SET_BY_RECIPE] for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    if settings != [[group[name] for name in SET_BY_RECIPE] for group in optimizer.param_groups]:
        raise ValueError("the optimizer's settings are not the recipe's")
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            momentum = optimizer.state[parameter].get("momentum_buffer")
            shape = None if momentum is None else momentum.shape
            if step and group["momentum"] and shape != parameter.shape:
                raise ValueError("the optimizer's momentum is missing or has another shape")

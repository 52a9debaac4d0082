"""Work that is trained in steps and can be resumed: pretraining and probes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Work(ABC):
    """Base class; `eqco.runs.loop` trains it. Each process has its own instance.

    Attributes:
        step, steps: steps done, and all there are.
    """

    step = 0
    steps = 0

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
        """Continue where `state` was taken."""

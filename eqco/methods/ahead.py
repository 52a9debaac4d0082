"""Negatives of the next steps, drawn in threads while a GPU works on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

Draw = Callable[[torch.Generator], Tensor | None]
STEPS = 2  # a draw may take longer than a step of a GPU


def drawn(draw: Draw, generator: torch.Generator) -> tuple[Tensor | None, Tensor]:
    """What is drawn, and the state of the generator after it."""
    return draw(generator), generator.get_state()


class Ahead:
    """Draws the negatives of the next steps, each of which depends on its own seed alone.

    `coming` makes the fresh generators of the next steps.
    """

    def __init__(self, coming: Callable[[], Iterable[torch.Generator]]) -> None:
        self.coming = coming
        self.threads = ThreadPoolExecutor(STEPS, "draw")
        self.begun: dict[int, Future[tuple[Tensor | None, Tensor]]] = {}
        self.asked: tuple[object, ...] = ()

    def draw(
        self, generator: torch.Generator, now: Draw, later: Draw, asked: tuple[object, ...]
    ) -> Tensor | None:
        """The negatives of this step, made ahead where they could be; the next ones are begun.

        Args:
            generator: of this step; it ends in the same state either way.
            now: draws with it.
            later: draws with a fresh generator, after whatever a step draws before.
            asked: what `now` and `later` draw; what was begun for another K, say, is not used.
        """
        if asked != self.asked:
            self.begun, self.asked = {}, asked
        made = self.begun.pop(generator.initial_seed(), None)
        for fresh in self.coming():
            if fresh.initial_seed() not in self.begun:
                self.begun[fresh.initial_seed()] = self.threads.submit(drawn, later, fresh)
        if made is None:
            return now(generator)
        columns, state = made.result()
        generator.set_state(state)
        return columns

"""What is remembered between batches: a queue of keys, and the averages of SogCLR.

N queries, n images of this process in a batch, Q keys in a queue, D dimensions, M training images.
"""

from __future__ import annotations

import gc
import math
from functools import cache
from typing import Any
from weakref import WeakSet

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from eqco.runtime.distributed import gather
from eqco.runtime.transfer import to_device

SEED = 0x6571636F  # of the first keys: nobody's own seed, whose embeddings they would repeat
LARGEST = 2**33  # bytes of a queue: 8 GiB


def random_keys(size: int, dim: int, generator: torch.Generator | None) -> Tensor:
    """Unit vectors (Q, D) that fill a queue at first, of float32 on the CPU."""
    return F.normalize(
        torch.randn(size, dim, generator=generator, dtype=torch.float32, device="cpu"), dim=1
    )


@torch.no_grad()
def replace_oldest(queue: Tensor, place: Tensor, keys: Tensor) -> None:
    """Write a batch's keys (N, D) over the oldest of a queue (Q, D), in place.

    Args:
        queue: first in, first out; Q need not be a multiple of N.
        place: of the oldest key, shape (), integer; moves on by N.
        keys: of this batch.

    Raises:
        ValueError: N > Q.
    """
    if len(keys) > len(queue):
        raise ValueError(
            f"the queue holds {len(queue)} keys, the batch brings {len(keys)}: enlarge queue_size"
        )
    places = (place + torch.arange(len(keys), device=keys.device)) % len(queue)
    queue[places] = keys
    place.add_(len(keys)).remainder_(len(queue))


class KeyQueue(nn.Module):
    """The last Q keys of earlier steps, part of `state_dict`.

    The keys of a step enter when it has ended: an optimizer of torch that has a tensor the loss
    depends on has taken a step since, or, in a loop without one, a backward pass through the loss
    has run. So they are no negatives of that step, however often the loss is called in it.

    Args:
        size: Q; need not be a multiple of the batch.
        dim: D; None takes that of the first keys, or of a loaded state.

    Attributes:
        keys: shape (Q, D), None before D is known; random unit vectors until Q keys came. A buffer
            where D is known from the start.
        place: where the next keys go, shape (), integer.
        waiting: keys of the running step, shape (n, D), None where there are none.

    Source: He et al., arXiv 1911.05722.
    """

    keys: Tensor | None
    place: Tensor
    waiting: Tensor | None = None
    ended: bool = False  # whether the step of the waiting keys has
    stepped: bool = False  # whether an optimizer has stepped since this queue exists, or will
    searched: bool = False  # whether an optimizer was searched for
    trains: frozenset[int] = frozenset()  # what the loss depends on, where an optimizer has it

    def __init__(self, size: int, dim: int | None = None) -> None:
        super().__init__()
        self.size = size
        self.keys = None
        self.register_buffer("place", torch.zeros((), dtype=torch.long, device="cpu"))
        if dim is not None:
            del self.keys
            self.register_buffer("keys", self.first_keys(dim))
        watch_optimizers(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.searched, self.trains = False, frozenset()  # a copy may be of a copy of the encoder
        watch_optimizers(self)

    def first_keys(self, dim: int) -> Tensor:
        """Unit vectors to begin with; the same in every process.

        Raises:
            ValueError: they would take more than LARGEST.
        """
        if 4 * self.size * dim > LARGEST:
            raise ValueError(
                f"a queue of {self.size} keys of {dim} dimensions takes "
                f"{4 * self.size * dim / 2**30:,.0f} GiB: give a queue_size of at most "
                f"{LARGEST // (4 * dim)}"
            )
        # torch.compile traces torch's own generator alone.
        draw = None if torch.compiler.is_compiling() else torch.Generator("cpu").manual_seed(SEED)
        return random_keys(self.size, dim, draw)

    def before(self, key: Tensor) -> Tensor:
        """The keys of earlier steps, shape (Q, D), of the same type and on the same device.

        Args:
            key: the keys of this batch, of length 1, shape (N, D).

        Raises:
            ValueError: N or D do not fit.
        """
        if len(key) > self.size:
            raise ValueError(
                f"the queue holds {self.size} keys, the batch brings {len(key)}: enlarge queue_size"
            )
        with torch.inference_mode(False):  # a tensor made in that mode could not change later
            if self.keys is None:
                self.keys = self.first_keys(key.shape[1])
            if self.keys.shape[1] != key.shape[1]:
                raise ValueError(
                    f"the queue holds keys of {self.keys.shape[1]} dimensions, the batch brings "
                    f"{key.shape[1]}: take a loss for each length of embeddings"
                )
            self.keys = self.keys.to(key.device, key.dtype)
            self.place = self.place.to(key.device)
        self.enqueue_ended()
        return self.keys

    def add(self, key: Tensor, loss: Tensor) -> None:
        """Let the keys of a call (N, D) wait for the end of the step; `loss` is what it returns."""
        key = key.detach()
        if not torch.compiler.is_compiling():
            self.find_optimizers(loss)
        if self.waiting is None:
            self.waiting = key
        elif not (in_backward() and self.holds(key)):
            self.waiting = torch.cat([self.waiting, key])[-self.size :]
        if not torch.compiler.is_compiling():
            loss.register_hook(lambda _: self.note_backward())  # type: ignore[no-untyped-call]

    def find_optimizers(self, loss: Tensor) -> None:
        """See which optimizers' steps end a step: those that have a tensor the loss depends on.

        Where none has, as with embeddings that were detached, any optimizer's does.
        """
        if not self.searched:
            self.searched, tensors = True, leaves(loss)
            if has_optimizer(tensors):
                self.stepped, self.trains = True, tensors
        elif self.trains and self.waiting is not None:  # other layers may be trained by now
            self.trains = leaves(loss)

    def follows(self, optimizer: Optimizer) -> bool:
        """Whether an optimizer's step is one of the encoder."""
        tensors = (tensor for group in optimizer.param_groups for tensor in group["params"])
        return not self.trains or any(id(tensor) in self.trains for tensor in tensors)

    def holds(self, key: Tensor) -> bool:
        """Whether these keys wait already: activation checkpointing computes a loss again."""
        return self.waiting is not None and any(
            torch.equal(part, key) for part in torch.split(self.waiting, len(key))
        )

    def note_backward(self) -> None:
        """Where no optimizer is seen, the backward pass ends the step."""
        self.ended = self.ended or not self.stepped

    def enqueue_ended(self) -> None:
        """Replace the oldest keys by those that wait, where their step has ended."""
        if self.ended and not in_backward():
            if self.waiting is not None and self.keys is not None:
                replace_oldest(self.keys, self.place, self.waiting.to(self.keys))
            self.waiting, self.ended = None, False

    def _save_to_state_dict(self, state: Any, prefix: str, keep: bool) -> None:
        """Save the keys, which the keys of the last step have joined."""
        self.enqueue_ended()
        super()._save_to_state_dict(state, prefix, keep)
        if self.keys is not None:
            state[f"{prefix}keys"] = self.keys

    def _load_from_state_dict(self, state: Any, prefix: str, *more: Any) -> None:
        """Load a state whose D this queue may not know yet."""
        loaded, place = state.get(f"{prefix}keys"), state.get(f"{prefix}place")
        if loaded is None and "keys" not in self._buffers and place is not None and place.any():
            more[-1].append(
                f"{prefix}keys are not in the state, whose queue was in use: torch.distributed."
                "checkpoint loads what is there already, so give queue_size=(Q, D)"
            )
        self.waiting, self.ended = None, False
        if "keys" not in self._buffers:
            if loaded is not None and len(loaded) != self.size:
                more[-1].append(
                    f"size mismatch for {prefix}keys: the state has {len(loaded)} keys, the queue "
                    f"holds {self.size}: give queue_size={len(loaded)}"
                )
            else:
                self.keys = None if loaded is None else loaded.detach().clone()
            state = {name: value for name, value in state.items() if name != f"{prefix}keys"}
        super()._load_from_state_dict(state, prefix, *more)

    def extra_repr(self) -> str:
        return f"size={self.size}"


def leaves(loss: Tensor) -> frozenset[int]:
    """Identities of the tensors that a loss depends on."""
    functions, seen, identities = [loss.grad_fn], set(), set()
    while functions:
        function = functions.pop()
        if function is not None and function not in seen:
            seen.add(function)
            identities.add(id(getattr(function, "variable", None)))
            functions += [parent for parent, _ in function.next_functions]
    return frozenset(identities)


def has_optimizer(tensors: frozenset[int]) -> bool:
    """Whether an optimizer of torch has one of some tensors: its step is to come."""
    optimizers = [item for item in gc.get_objects() if issubclass(type(item), Optimizer)]
    groups = [group for optimizer in optimizers for group in getattr(optimizer, "param_groups", ())]
    return any(id(tensor) in tensors for group in groups for tensor in group["params"])


QUEUES: WeakSet[KeyQueue] = WeakSet()


def watch_optimizers(queue: KeyQueue) -> None:
    """Tell a queue of every optimizer's steps from now on."""
    QUEUES.add(queue)
    register_hooks()


@cache
def register_hooks() -> None:
    """Tell all queues of every optimizer's steps."""

    def before(optimizer: Optimizer, *_: Any) -> None:
        for queue in QUEUES:
            queue.stepped = queue.stepped or queue.follows(optimizer)

    def after(optimizer: Optimizer, *_: Any) -> None:
        for queue in QUEUES:
            queue.ended = queue.ended or queue.follows(optimizer)

    register_optimizer_step_pre_hook(before)
    register_optimizer_step_post_hook(after)


def in_backward() -> bool:
    """Whether a backward pass is running, which activation checkpointing computes losses in."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


class MovingAverages(nn.Module):
    """The moving average u of g for every training image, as log u: float32 is enough for any t.

    u becomes (1 - gamma) u + gamma g where its image is in a batch, and g at the first time. Where
    an image has two queries (SimCLR's), each starts from its u, and the mean of both is kept.

    Attributes:
        log_u: shape (M,), float32; infinite for images that were in no batch yet.

    >>> averages = MovingAverages(3)
    >>> log_u = averages.update(torch.tensor([2]), torch.tensor([1.0]).log(), 0.25)
    >>> log_u = averages.update(torch.tensor([2]), torch.tensor([5.0]).log(), 0.25)
    >>> round(log_u.exp().item(), 5), averages.log_u[:2].tolist()  # 3/4 of 1 and 1/4 of 5
    (2.0, [inf, inf])

    Source: Yuan et al., arXiv 2202.12387; the first time and two queries as in the authors' LibAUC.
    """

    log_u: Tensor

    def __init__(self, total: int) -> None:
        super().__init__()
        self.register_buffer("log_u", torch.full((total,), math.inf, device="cpu"))

    def update(self, rows: Tensor, log_g: Tensor, gamma: float) -> Tensor:
        """Move the averages of a batch in training; all processes then hold those of all images.

        Args:
            rows: which training images these are, shape (n,), no image twice.
            log_g: the gap of each query, shape (N,): one query for each image, or first one and
                then another for each.
            gamma: weight of the new estimate, in (0, 1].

        Returns:
            log u of each query with its own new estimate in it, shape (N,).
        """
        rows, log_g = to_device(rows, self.log_u.device), log_g.detach()
        before = self.log_u[rows].repeat(len(log_g) // len(rows))
        kept = before + (math.log1p(-gamma) if gamma < 1 else -math.inf)
        moved = torch.logaddexp(kept, log_g + math.log(gamma))
        log_u = torch.where(before.isposinf(), log_g, moved)
        if self.training and torch.is_grad_enabled():
            log_u_of_views = log_u.view(-1, len(rows))
            mean = torch.logsumexp(log_u_of_views, dim=0) - math.log(len(log_u_of_views))
            self.log_u[gather(rows)] = gather(mean.to(self.log_u.dtype))
        return log_u

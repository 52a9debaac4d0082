"""A first-in, first-out queue of keys: negatives from earlier batches. Q keys, D dimensions."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class KeyQueue(nn.Module):
    """The last Q keys, part of `state_dict`. D is that of the first keys, or of a loaded state.

    Args:
        size: Q; need not be a multiple of the batch.

    Attributes:
        keys: shape (Q, D), None before the first batch; random unit vectors until Q keys came.
        place: where the next keys go, shape (), integer.

    Source: He et al., arXiv 1911.05722.
    """

    keys: Tensor | None
    place: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("keys", None)
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    def before(self, key: Tensor) -> Tensor:
        """The keys of earlier batches, shape (Q, D), which `push` changes.

        Args:
            key: the keys of this batch, of length 1, shape (N, D).

        Raises:
            ValueError: N or D do not fit.
        """
        if len(key) > self.size:
            raise ValueError(
                f"the queue holds {self.size} keys, the batch brings {len(key)}: enlarge queue_size"
            )
        if self.keys is None:
            self.keys = self.random(key)
            self.place = self.place.to(key.device)
        if self.keys.shape[1] != key.shape[1]:
            raise ValueError(
                f"the queue holds keys of {self.keys.shape[1]} dimensions, the batch brings "
                f"{key.shape[1]}: take a loss for each length of embeddings"
            )
        return self.keys

    def random(self, key: Tensor) -> Tensor:
        """Unit vectors to begin with, of the keys' type and device; the same in every process."""
        # torch.compile traces torch's own generator alone.
        draw = None if torch.compiler.is_compiling() else torch.Generator().manual_seed(0)
        vectors = torch.randn(self.size, key.shape[1], generator=draw)
        return F.normalize(vectors, dim=1).to(key.device, key.dtype)

    @torch.no_grad()
    def push(self, key: Tensor) -> None:
        """Replace the oldest keys by a batch's (N, D)."""
        assert self.keys is not None
        places = (self.place + torch.arange(len(key), device=key.device)) % self.size
        self.keys[places] = key.detach()
        self.place.add_(len(key)).remainder_(self.size)

    def _load_from_state_dict(self, state: Any, prefix: str, *more: Any) -> None:
        """Load a state whose D this queue may not know yet."""
        loaded = state.get(f"{prefix}keys")
        if loaded is None:
            self.keys = None
        elif self.keys is None or self.keys.shape[1] != loaded.shape[1]:
            self.keys = loaded.new_zeros(self.size, loaded.shape[1], device=self.place.device)
        super()._load_from_state_dict(state, prefix, *more)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"size={self.size}"

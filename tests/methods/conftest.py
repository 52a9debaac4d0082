"""What the tests of methods share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

SIZE = 8  # images of a batch
Views = tuple[Tensor, Tensor]


@pytest.fixture
def views(generator: torch.Generator) -> Views:
    """Query and key view of eight gray images."""
    query_view, key_view = torch.rand(2, SIZE, 1, 24, 24, generator=generator)
    return query_view, key_view

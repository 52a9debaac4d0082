"""What the tests of losses share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor


@pytest.fixture
def views(generator: torch.Generator) -> Tensor:
    """Embeddings of two views of eight images, (2, 8, 16)."""
    return torch.randn(2, 8, 16, generator=generator)

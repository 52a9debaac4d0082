"""What the tests of faults share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def subnormal_numbers() -> None:
    """Keep numbers below 1e-38, which a run in this process flushes to zero; hypothesis asks."""
    torch.set_flush_denormal(False)

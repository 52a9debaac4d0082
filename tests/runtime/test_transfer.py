"""Tensors that go to a device in one copy arrive as they were."""

from __future__ import annotations

import pytest
import torch

from eqco.runtime import transfer


def test_tensors_that_are_sent_together_arrive_as_they_were(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """Whatever their types and order; the copy itself needs a GPU."""
    numbers = torch.rand(3, 5, generator=generator)
    values = [
        numbers.T, numbers > 0.5, torch.arange(4), numbers.half(), torch.rand(4, 0),
        numbers[0, 0], numbers.double(), torch.arange(3).expand(2, -1),
    ]  # fmt: skip
    copies: list[torch.Tensor] = []
    monkeypatch.setattr(transfer, "to_device", lambda each, _: copies.append(each) or each)
    found = transfer.all_to_device(values, torch.device("cuda"))
    assert len(copies) == 1
    for each, sent in zip(values, found, strict=True):
        torch.testing.assert_close(sent, each, rtol=0, atol=0)

"""Batch norm over several processes, and over parts of a batch."""

from __future__ import annotations

import pytest
import torch

from eqco.methods import batch_norm
from eqco.methods.batch_norm import SplitBatchNorm, SyncedBatchNorm
from eqco.runtime import distributed

SIZE = 8


def test_split_batch_norm_is_batch_norm_of_each_part(generator: torch.Generator) -> None:
    images = torch.randn(SIZE, 3, 5, 5, generator=generator)
    split = SplitBatchNorm(3)
    split.splits = 4
    plain = torch.nn.BatchNorm2d(3)
    expected = torch.cat([plain(part) for part in images.chunk(4)])
    torch.testing.assert_close(split(images), expected)
    split.eval()
    plain.eval()
    torch.testing.assert_close(split(images), plain(images))


def test_a_batch_that_does_not_split_raises_an_error(generator: torch.Generator) -> None:
    split = SplitBatchNorm(3)
    split.splits = 3
    with pytest.raises(ValueError, match="8 images do not split into 3 equal parts"):
        split(torch.randn(SIZE, 3, 5, 5, generator=generator))


def test_synced_batch_norm_on_one_process_is_batch_norm(generator: torch.Generator) -> None:
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    torch.testing.assert_close(synced(images), plain(images))


def test_synced_batch_norm_keeps_the_type_that_autocast_gave_it(
    monkeypatch: pytest.MonkeyPatch, generator: torch.Generator
) -> None:
    """Statistics are float32 whatever comes in; two pretended processes hold the same images."""
    monkeypatch.setattr(batch_norm, "world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_reduce", lambda tensor: tensor.mul_(2))
    images = torch.randn(8, 3, 4, 4, generator=generator)
    synced, plain = SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    out = synced(images.bfloat16())
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain(images), atol=0.05, rtol=0.05)
    assert synced.running_var.dtype == torch.float32

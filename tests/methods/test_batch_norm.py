"""Batch norm over several processes, and over parts of a batch."""

from __future__ import annotations

import pytest
import torch

from eqco.methods import batch_norm
from eqco.methods.batch_norm import SplitBatchNorm, SyncedBatchNorm, use_split_batch_norm
from eqco.methods.encoder import build_encoder
from eqco.runtime import distributed

SIZE = 8


@pytest.mark.parametrize("momentum", [0.1, None], ids=str)
def test_split_batch_norm_is_batch_norm_of_each_part(
    momentum: float | None, generator: torch.Generator
) -> None:
    images = torch.randn(SIZE, 3, 5, 5, generator=generator)
    split, plain = SplitBatchNorm(3, momentum=momentum), torch.nn.BatchNorm2d(3, momentum=momentum)
    split.splits = 4
    for _ in range(2):
        out = split(images)
        expected = torch.cat([plain(part) for part in images.chunk(4)])
        assert torch.equal(out, expected)
        for each in (out, expected):
            (each**3).sum().backward()
        assert torch.equal(split.weight.grad, plain.weight.grad)
    for name, value in plain.state_dict().items():
        assert torch.equal(split.state_dict()[name], value), name
    split.eval()
    plain.eval()
    torch.testing.assert_close(split(images), plain(images))


def test_one_part_is_the_plain_layer() -> None:
    """Else each layer would copy what it normalises."""
    encoder = build_encoder("tiny-gray", 16, seed=0)
    before = list(encoder.modules())
    use_split_batch_norm(encoder, 1)
    assert list(encoder.modules()) == before


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

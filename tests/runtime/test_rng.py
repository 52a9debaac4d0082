"""Random numbers depend on seed and labels alone, whatever the number of processes."""

from __future__ import annotations

import hashlib

import pytest
import torch

from eqco.runtime import rng
from eqco.runtime.rng import Shuffle, generator_for, sample_rows, seed_for


def test_a_generator_depends_on_seed_and_labels_alone() -> None:
    def first(*labels: int | str) -> int:
        return int(torch.randint(2**62, (), generator=generator_for(*labels)))

    assert first(0, "query", 3) == first(0, "query", 3)
    different = [first(0, "query", 3), first(1, "query", 3), first(0, "key", 3)]
    different += [first(0, "query", 4), first(0, "query"), first(0, "query", 3, 0)]
    assert len(set(different)) == 6


def test_each_epoch_shows_every_image_once_and_two_processes_share_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = [Shuffle(20, 4, seed=0).rows(step)[1] for step in range(10)]
    for epoch in (whole[:5], whole[5:]):
        assert sorted(torch.cat(epoch).tolist()) == list(range(20))
    assert not torch.equal(torch.cat(whole[:5]), torch.cat(whole[5:]))
    monkeypatch.setattr(rng, "world_size", lambda: 2)
    halves = []
    for rank in range(2):
        monkeypatch.setattr(rng, "first_index", lambda count, rank=rank: rank * count)
        halves.append(Shuffle(20, 4, seed=0).rows(3)[1])
    assert torch.equal(torch.cat(halves), whole[3])


def test_the_seed_of_labels_is_the_one_that_made_the_committed_records() -> None:
    """The first 63 bits of SHA-256("0/query/3"), by hashlib alone."""
    first = hashlib.sha256(b"0/query/3").digest()[:8]
    assert seed_for(0, "query", 3) == int.from_bytes(first, "big") // 2


def test_a_last_batch_that_is_not_full_is_dropped() -> None:
    shuffle = Shuffle(20, 6, seed=0)
    assert shuffle.per_epoch == 3
    assert [shuffle.rows(step)[0] for step in range(5)] == [0, 0, 0, 1, 1]
    assert len(torch.cat([shuffle.rows(step)[1] for step in range(3)]).unique()) == 18


def test_shuffles_of_other_seeds_and_names_differ() -> None:
    some = [Shuffle(100, 50, *given).rows(0)[1].tolist() for given in ((0,), (1,), (0, "probe"))]
    assert len({tuple(each) for each in some}) == 3


def test_a_sample_has_no_image_twice_and_no_more_than_there_are() -> None:
    assert len(sample_rows(50, 20, 0).unique()) == 20
    assert sorted(sample_rows(5, 20, 0).tolist()) == list(range(5))

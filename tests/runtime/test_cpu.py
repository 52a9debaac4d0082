"""Granted cores and threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eqco.runtime import cpu


def test_threads_follow_omp_num_threads_and_the_granted_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5}, raising=False)
    for given, expected in (("3", 3), ("", 1), ("0", 1), ("many", 1)):
        monkeypatch.setenv("OMP_NUM_THREADS", given)
        assert cpu.default_threads() == expected
    assert cpu.granted_cores() == 1


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2), ("150000 100000", 1), ("5000 100000", 1), ("9900000 100000", 4),
        ("max 100000", 4), ("", 4), (None, 4),
    ],
    ids=str,
)  # fmt: skip
def test_a_quota_of_a_container_grants_fewer_cores(
    quota: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    monkeypatch.setattr(cpu, "GROUPS", tmp_path)
    assert cpu.granted_cores() == expected

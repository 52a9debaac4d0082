"""Peak memory of the losses, forward and backward, in processes of their own."""

from __future__ import annotations

import pytest

from benchmark.measure import Compare, Measurement, python

pytestmark = pytest.mark.benchmark(group="memory")
# Measured: ours, plain. N = 4096 in all.
CASES = {
    "memory N = 4096, K = 16": ("ours-few", "plain-all"),
    "memory N = 4096, all": ("ours-all", "plain-all"),
    "memory Q = 65,536, all": ("ours-queue", "plain-queue"),
}


def peak(case: str, count: int, queue: int) -> float:
    """MiB that a case takes."""
    return float(python("-m", "benchmark.memory", case, str(count), "--queue", str(queue)))


@pytest.mark.parametrize("name", CASES)
def test_peak(compare: Compare, name: str) -> None:
    ours, plain = CASES[name]
    count, queue = compare.size(4096, 64), compare.size(65536, 128)
    values = {"ours": 0.0, "limit": count**2 * 4 / 2**20}  # one N x N matrix

    def measure() -> None:
        values["ours"] = max(0.1, peak(ours, count, queue))

    compare.once(measure)
    if compare.benchmark.disabled:
        return
    if not compare.tiny:
        values["plain"] = peak(plain, count, queue)
    times = {key: value / values["ours"] for key, value in values.items() if key != "ours"}
    row = Measurement("memory", name, "MiB", values, times=times)
    compare.keep(row, queries=count, queue=queue if "queue" in ours else 0)

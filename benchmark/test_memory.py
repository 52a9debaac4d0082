"""Peak memory of the losses, forward and backward, in processes of their own."""

from __future__ import annotations

import pytest

from benchmark.measure import Compare, Measurement, python

pytestmark = pytest.mark.benchmark(group="memory")
# N = 4096; K and Q as `LossCase` takes them.
CASES = {
    "memory N = 4096, K = 16": (16, 0),
    "memory N = 4096, all": (0, 0),
    "memory Q = 65,536, all": (0, 65536),
}


def peak(code: str, *sizes: int) -> float:
    """MiB that "ours" or "plain" takes."""
    return float(python("-m", "benchmark.memory", code, *map(str, sizes)))


@pytest.mark.parametrize("name", CASES)
def test_peak(compare: Compare, name: str) -> None:
    negatives, queue_size = CASES[name]
    sizes = compare.size(4096, 64), negatives, queue_size and compare.size(queue_size, 128)
    values = {"limit": sizes[0] ** 2 * 4 / 2**20}  # one N x N matrix
    values["ours"] = max(0.1, compare.benchmark.pedantic(peak, ("ours", *sizes)))
    if compare.benchmark.disabled:
        return
    if not compare.tiny:
        values["plain"] = peak("plain", *sizes)
    times = {key: value / values["ours"] for key, value in values.items() if key != "ours"}
    compare.keep(Measurement("memory", name, "MiB", values, times=times))

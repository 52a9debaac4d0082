"""What sizes beyond this machine would cost, from the rates of the last table."""

from __future__ import annotations

from benchmark.measure import Row

BATCH, MEASURED = 65_536, 4096  # images in a batch
QUEUE, MEASURED_QUEUE = 1_000_000, 65_536  # keys
FLOAT, DIMENSIONS = 4, 128


def span(seconds: float) -> str:
    """Seconds, or milliseconds where they are few."""
    return f"{seconds:.2g} s" if seconds >= 0.1 else f"{1000 * seconds:.2g} ms"


def on_paper(rows: list[Row]) -> list[str]:
    """Sentences on a batch of 65,536 images and a queue of a million keys.

    Work grows with N K and N^2; the exponents that are fitted are smaller, because at small N calls
    cost more than numbers, so the rates of the largest sizes are carried on.
    """
    named = {row.name: row for row in rows}
    needed = ["N = 4096, K = 16", "N = 4096, all", "Q = 65,536, all", "Q = 65,536, K = 16"]
    if any(name not in named or "plain" not in named[name].values for name in needed):
        return []
    few, whole, queue, few_of_queue = (named[name].values for name in needed)
    times = BATCH / MEASURED
    keys = QUEUE / MEASURED_QUEUE
    matrix = BATCH**2 * FLOAT / 2**30
    return [
        f"A batch of {BATCH:,} images: {span(few['ours'] * times)} for the loss with K = 16, "
        f"{span(whole['ours'] * times**2)} with all negatives by blocks, and "
        f"{span(whole['plain'] * times**2)} by a plain matrix product, if the machine had the "
        f"{matrix:.0f} GiB of each N x N matrix.",
        f"A queue of {QUEUE:,} keys, {QUEUE * DIMENSIONS * FLOAT / 2**20:.0f} MiB, at N = 256: "
        f"{span(queue['ours'] * keys)} a step with all of them, {span(queue['plain'] * keys)} "
        f"plain, and {span(few_of_queue['ours'])} with K = 16, which does not depend on the queue.",
    ]

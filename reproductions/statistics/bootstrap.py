"""Bootstrap interval of a difference, over seeds and held-out images.

The t-interval of a verdict is over seeds, on the images at hand. Here seeds and images are drawn
anew, each with replacement and independently of the other (Owen, The pigeonhole bootstrap, Annals
of Applied Statistics 1, 2007), which errs on the wide side.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence

import numpy as np

from eqco.artifacts.record import Record
from eqco.evaluation.metrics import unpacked
from reproductions.statistics.verdicts import level_of

DRAWS = 2000


def right_images(record: Record, metric: str) -> np.ndarray | None:
    """Which held-out images a run got right, bool, shape (M,); None where it did not keep them.

    A record keeps whole bytes; the number of images is the one that gives its accuracy.

    Raises:
        ValueError: no number of images gives it.
    """
    text = record.correct.get(metric)
    if text is None:
        return None
    bits: np.ndarray = unpacked(text, 8 * len(base64.b64decode(text))).numpy()
    for count in range(len(bits), max(len(bits) - 8, 0), -1):
        if math.isclose(100 * bits.sum() / count, record.metrics[metric]):
            return bits[:count]
    raise ValueError(f"the images of {record.run_id} do not give its accuracy")


def interval_over_both(
    rows: Sequence[Mapping[int, np.ndarray]],
    weights: Sequence[float],
    seeds: Sequence[int],
    simultaneous: int = 1,
) -> tuple[float, float] | None:
    """95 % interval of a weighted sum of accuracies over seeds and images, points.

    Args:
        rows: which images are right, bool, shape (M,), by seed, of each row.
        weights: of the rows.
        seeds: those to use.
        simultaneous: as of `reproductions.statistics.verdicts.judge`.

    Returns:
        The percentiles of `DRAWS` bootstrap means; None where a row lacks one of the seeds.
    """
    if len(seeds) < 2 or not all(seed in row for row in rows for seed in seeds):
        return None
    sums = [
        sum(weight * row[seed] for row, weight in zip(rows, weights, strict=True)) for seed in seeds
    ]
    points = 100 * np.stack(sums)  # (seeds, images)
    number, images = points.shape
    generator = np.random.default_rng(0)
    means = np.empty(DRAWS)
    for draw in range(DRAWS):
        drawn = generator.multinomial(number, np.full(number, 1 / number)) @ points / number
        means[draw] = drawn[generator.integers(images, size=images)].mean()
    level = level_of(simultaneous)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

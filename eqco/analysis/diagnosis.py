"""How small K may be for a trained encoder.

N queries with a positive key each and the other M keys as negatives; t the temperature.
"""

from __future__ import annotations

import math
import textwrap
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from eqco.analysis import theory
from eqco.analysis.embedding_files import similarities
from eqco.analysis.mutual_information import Estimate, estimate
from eqco.data import Images
from eqco.losses.functional import eqco_info_nce
from eqco.losses.registry import LOSSES
from eqco.methods.base import Method
from eqco.recipe import Recipe
from eqco.runtime.rng import generator_for
from eqco.runtime.validation import Number

TOLERANCE = Number(1e-9, 1e9)  # nats
Losses = Callable[[Tensor, Tensor], Tensor]  # of positive (N,) and negatives (N, K)
MOST_PIXELS = 2**25  # through an encoder at once

# Measured at glyphs, eval mode, alpha 256: an untrained encoder has a loss of 96 % of
# log(1 + alpha) and cosines of 0.90, one of 4 short epochs 66 % and -0.02.
COLLAPSED_COSINE = 0.99
COLLAPSED_CV2 = 1e-4
UNTRAINED_SHARE = 0.85


@torch.no_grad()
def embed(method: Method, images: Images, count: int = 1024) -> tuple[Tensor, Tensor]:
    """Queries and keys of `count` training images, shape (N, D) each, of length 1, on the CPU.

    Query and key encoder in evaluation mode, fresh random views; fewer where the data has fewer.
    """
    method.eval()
    device = next(method.parameters()).device
    embeddings = []
    encoders = (method.encoder, method.key_encoder)
    for view, encoder in zip(images.sample(count), encoders, strict=True):
        parts = torch.split(view.to(device), max(1, MOST_PIXELS // view[0].numel()))
        embeddings.append(torch.cat([encoder(part) for part in parts]).cpu())
    return embeddings[0], embeddings[1]


def describe(method: Method, recipe: Recipe, images: Images) -> dict[str, float]:
    """CV^2, rho = 1 - pi_0 and rho^2 CV^2 of an encoder: means over 1,024 queries."""
    positive, negatives = similarities(*embed(method, images))
    effective = LOSSES[recipe.loss].effective_negatives(recipe.num_negatives, recipe.alpha)
    weight = theory.negative_weight(
        positive, negatives, temperature=recipe.temperature, effective_negatives=effective
    )
    spread = theory.squared_cv(negatives, temperature=recipe.temperature)
    return {
        "cv2": spread.mean().item(),
        "one_minus_pi0": weight.mean().item(),
        "rho2_cv2": 2 * theory.leading_gap(weight, spread, num_negatives=1),
    }


@dataclass(frozen=True)
class Gap:
    """How far EqCo's loss at K lies below its limit in K, nats.

    Attributes:
        num_negatives: K.
        coarse: CV^2 / (2 K), which bounds it to leading order.
        sharp: E[rho^2 CV^2] / (2 K), the leading order itself.
        measured: K of the M negatives against all M, mean over queries and disjoint groups of K.
    """

    num_negatives: int
    coarse: float
    sharp: float
    measured: Estimate


@dataclass(frozen=True)
class Diagnosis:
    """Spread of an encoder's similarities, and the K it needs.

    Attributes:
        squared_cv: CV^2 over the negatives of a query, mean over queries.
        median_cv2: its median, far below the mean where few queries have one much nearer negative.
        uniform_cv2: CV^2 of embeddings uniform on the sphere, where it is known.
        weight: rho = 1 - pi_0 in the limit of K, mean over queries.
        gaps: one for each K asked for.
        tolerance: nats.
        enough: smallest K whose gap to infinitely many negatives is below the tolerance, as
            measured up to K = M, by the leading order above.
        leading: the same by the leading order alone.
        available: M.
        cosine: mean cosine of a query and its negatives.
        share: loss with all negatives as a share of log(1 + alpha), the loss of an encoder that
            cannot tell the positive from the negatives.
    """

    squared_cv: Estimate
    median_cv2: float
    uniform_cv2: float | None
    weight: Estimate
    gaps: tuple[Gap, ...]
    tolerance: float
    enough: int
    leading: int
    available: int
    cosine: float
    share: float

    @property
    def state(self) -> str:
        """ "collapsed", "hardly trained" or "trained"."""
        if self.cosine > COLLAPSED_COSINE or self.squared_cv.value < COLLAPSED_CV2:
            return "collapsed"
        return "hardly trained" if self.share > UNTRAINED_SHARE else "trained"


def check_diagnosis(
    positive: Tensor, negatives: Tensor, counts: Sequence[int], tolerance: float
) -> None:
    """Raise ValueError where `diagnose` cannot do with its arguments, which have the same names."""
    if positive.ndim != 1 or negatives.ndim != 2 or len(positive) < 2:
        raise ValueError(
            "a diagnosis needs positive (N,) and negatives (N, M) of 2 queries at least, got "
            f"{tuple(positive.shape)} and {tuple(negatives.shape)}"
        )
    TOLERANCE.check("tolerance", tolerance)
    available = negatives.shape[1]
    if not counts or min(counts) < 1:
        raise ValueError(f"K must be at least 1, got {list(counts)}")
    if max(counts) >= available:
        raise ValueError(f"K must be below the {available} negatives, got {max(counts)}")


def mean_of_groups(loss: Losses, positive: Tensor, negatives: Tensor, k: int) -> Tensor:
    """Loss at K of each query, shape (N,): mean over disjoint groups of K of its negatives."""
    groups = negatives.shape[1] // k
    grouped = negatives[:, : groups * k].reshape(-1, k)  # (N * groups, K)
    return loss(positive.repeat_interleave(groups), grouped).view(-1, groups).mean(dim=1)


def needed(gap: float, tolerance: float) -> int:
    """Smallest K by the leading order, from the gap at K = 1."""
    return max(math.ceil(gap / tolerance), 1)


def diagnose(
    positive: Tensor,
    negatives: Tensor,
    *,
    temperature: float,
    alpha: float,
    counts: Sequence[int] = (4, 16, 64, 255),
    tolerance: float = 0.05,
    dimension: int | None = None,
    seed: int = 0,
) -> Diagnosis:
    """How small K may be for an encoder.

    Args:
        positive: cosine similarities of the pairs, shape (N,).
        negatives: cosine similarities to many other keys, shape (N, M).
        temperature: t, > 0.
        alpha: EqCo's effective number of negatives, > 0.
        counts: K at which the gap is measured, each below M.
        tolerance: loss gap that counts as small, nats, 1e-9 or more.
        dimension: of the embeddings, for the CV^2 of uniform ones.
        seed: of the grouping of the M negatives.

    Raises:
        ValueError: there are no two queries, no K, a K is below 1 or not below M, or the tolerance
            is not above 0.
    """
    check_diagnosis(positive, negatives, counts, tolerance)
    available, half = negatives.shape[1], negatives.shape[1] // 2
    spread = theory.squared_cv(negatives, temperature=temperature)
    weight = theory.negative_weight(
        positive, negatives, temperature=temperature, effective_negatives=alpha
    )
    at_one = theory.leading_gap(weight, spread, num_negatives=1)
    positive, negatives = positive.double(), negatives.double()
    loss = partial(eqco_info_nce, temperature=temperature, alpha=alpha, reduction="none")
    limit = loss(positive, negatives)
    scores = torch.rand(negatives.shape, generator=generator_for(seed, "gap"), device="cpu")
    shuffled = negatives.gather(1, scores.argsort(dim=1).to(negatives.device))

    def measure(k: int) -> Estimate:
        return estimate(limit - mean_of_groups(loss, positive, shuffled, k))

    def independent(k: int) -> float:
        """Independent keys whose mean varies as much as that of K drawn without replacement."""
        return k / (1 - k / available)

    drawn = 1 + bisect_left(range(1, half + 1), True, key=lambda k: measure(k).value <= tolerance)
    leading = needed(at_one, tolerance)
    coarse = theory.mean_field_gap(spread.mean().item(), num_negatives=1)
    uniform = theory.uniform_squared_cv(dimension, temperature=temperature) if dimension else None
    return Diagnosis(
        squared_cv=estimate(spread),
        median_cv2=spread.median().item(),
        uniform_cv2=uniform,
        weight=estimate(weight),
        gaps=tuple(
            Gap(k, coarse / independent(k), at_one / independent(k), measure(k)) for k in counts
        ),
        tolerance=tolerance,
        enough=round(independent(drawn)) if drawn <= half else max(leading, available + 1),
        leading=leading,
        available=available,
        cosine=negatives.mean().item(),
        share=limit.mean().item() / math.log1p(alpha),
    )


def capped(counts: Sequence[int], available: int) -> tuple[int, ...]:
    """The K that fit below the M negatives at hand, ascending; a larger one becomes M - 1.

    Raises:
        ValueError: there are fewer than two negatives.
    """
    if available < 2:
        raise ValueError(f"{available + 1} images are too few: a diagnosis needs 3")
    return tuple(sorted({min(k, available - 1) for k in counts}))


def report(result: Diagnosis, *, alpha: float) -> str:
    """The diagnosis in words, at most 80 columns."""
    lines = [f"CV^2 of the negatives     {result.squared_cv}, median {result.median_cv2:.3f}"]
    if result.uniform_cv2 is not None:
        k = needed(theory.mean_field_gap(result.uniform_cv2, num_negatives=1), result.tolerance)
        lines.append(f"  uniform on the sphere   {result.uniform_cv2:.3f}: K = {k} at 1 - pi_0 = 1")
    lines += [
        f"1 - pi_0 at alpha {alpha:<8g}{result.weight}",
        "",
        "    K  loss gap, nats: CV^2/2K    leading order   measured     noise of the sum",
    ]
    for gap in result.gaps:
        noise = math.sqrt(result.squared_cv.value / gap.num_negatives)
        lines.append(
            f"{gap.num_negatives:5d}{gap.coarse:23.3f}{gap.sharp:17.3f}"
            f"{gap.measured.value:9.3f} ± {gap.measured.error:.3f}{noise:12.0%}"
        )
    text = advice(result) if result.state == "trained" else warning(result)
    return "\n".join([*lines, "", textwrap.fill(text, 80)])


def advice(result: Diagnosis) -> str:
    """The K that is enough, what it was found by, and what to expect at K = 16, in sentences."""
    by = f"measured (leading order: K = {result.leading})"
    if result.enough > result.available:
        by = f"by the leading order (no more than K = {result.available} can be measured)"
    most = min(16, max(gap.num_negatives for gap in result.gaps))
    outcome = "EqCo's loss is that of many negatives within the tolerance."
    if most < result.enough:
        outcome = (
            "EqCo keeps the size of the mean gradient but not the loss of many negatives: expect "
            "part of the drop to remain."
        )
    gap = f"The loss gap is below {result.tolerance:g} nats from K = {result.enough} on, {by}."
    return f"{gap} At K = {most} {outcome}"


def warning(result: Diagnosis) -> str:
    """Why no K should be chosen by an encoder that is not trained, in sentences."""
    if result.state == "collapsed":
        return (
            "The encoder is collapsed: its embeddings point the same way (mean cosine "
            f"{result.cosine:.3f}, CV^2 {result.squared_cv.value:.2g}). Any K has the loss of many "
            "negatives then, which says nothing about a trained encoder."
        )
    return (
        f"The encoder is hardly trained: its loss is {result.share:.0%} of log(1 + alpha), the "
        "loss of one that cannot tell the positive from negatives. Train it further before you "
        "choose K by it."
    )


def as_json(result: Diagnosis, *, alpha: float) -> dict[str, Any]:
    """The diagnosis in plain numbers; no K is advised unless the encoder is trained."""
    trained = result.state == "trained"
    by = "measured" if result.enough <= result.available else "leading order"
    return {
        "alpha": alpha,
        "cv2": result.squared_cv.value,
        "cv2_median": result.median_cv2,
        "cv2_uniform": result.uniform_cv2,
        "one_minus_pi0": result.weight.value,
        "mean_cosine": result.cosine,
        "share_of_log_1_alpha": result.share,
        "state": result.state,
        "tolerance": result.tolerance,
        "enough": result.enough if trained else None,
        "enough_by": by if trained else None,
        "enough_by_leading_order": result.leading if trained else None,
        "gaps": [
            {
                "num_negatives": gap.num_negatives,
                "coarse": gap.coarse,
                "leading": gap.sharp,
                "measured": gap.measured.value,
                "error": gap.measured.error,
            }
            for gap in result.gaps
        ],
    }

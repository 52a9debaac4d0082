"""What losses, similarities and bounds refuse: one sentence with the value."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from eqco.analysis import mutual_information, theory
from eqco.analysis.diagnosis import diagnose
from eqco.analysis.mutual_information import Gaussians, Symbols, paper_estimate
from eqco.losses.base import ContrastiveLoss
from eqco.losses.functional import eqco_info_nce, info_nce, margin
from eqco.losses.logits import similarities
from eqco.losses.modules import DualTemperatureLoss, EqCoLoss, InfoNCELoss
from eqco.losses.registry import LOSSES
from eqco.losses.sampling import draw_columns, off_diagonal
from eqco.losses.similarity import Similarities
from eqco.losses.supervised import LabelLoss
from tests.formulas import usual_settings

plain = partial(info_nce, temperature=0.2)
diagnosis = partial(diagnose, temperature=1.0, alpha=1.0)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_names_its_wrong_setting(name: str) -> None:
    loss, case = LOSSES[name], (torch.zeros(2), torch.zeros(2, 3))
    usual = usual_settings(name)
    wrong = [("temperature", value) for value in (0.0, -1.0, 1e-40, math.nan, math.inf)]
    wrong += [(loss.setting, value) for value in (-0.1, math.nan, math.inf) if loss.setting]
    for setting, value in wrong:
        with pytest.raises(ValueError, match=r"^\w+ must .* got "):
            loss.function(*case, **{**usual, setting: value})
    with pytest.raises(ValueError, match=r"^unknown reduction 'meen': did you mean mean.*\?$"):
        loss.function(*case, **usual, reduction="meen")
    if loss.corrects:
        with pytest.raises(ValueError, match="needs at least 2 negatives for each query, got 1:"):
            loss.function(torch.zeros(2), torch.zeros(2, 1), **usual)


def changed(kind: type[ContrastiveLoss] = InfoNCELoss, **fields: object) -> ContrastiveLoss:
    """A loss that was changed after it was made."""
    loss = kind()
    for name, value in fields.items():
        setattr(loss, name, value)
    return loss


def with_queue(first: Tensor, second: Tensor) -> Tensor:
    """The loss of a second batch with a queue of twelve keys."""
    loss = InfoNCELoss(queue_size=12)
    loss(first, first)
    return loss(second, second)


def of_labels(embeddings: Tensor, *others: Tensor, **named: Tensor) -> Tensor:
    return LabelLoss(EqCoLoss())(embeddings, *others, **named)


ONES, LABELS = torch.ones, torch.arange(6) // 2
CALLS: dict[str, tuple[Callable[[Tensor, Tensor], object], str]] = {  # of embeddings (6, 8)
    "no tensor": (lambda q, k: EqCoLoss()(None, q), "expected a tensor of numbers, got NoneType"),
    "an array": (lambda q, k: EqCoLoss()(q.numpy(), k), "expected a tensor of numbers, got nda"),
    "complex": (lambda q, k: EqCoLoss()(q.cfloat(), k.cfloat()), "real floating-point numbers, "),
    "whole": (lambda q, k: EqCoLoss()(q.long(), k.long()), "floating-point numbers, got torch.int"),
    "complex similarities": (lambda q, k: plain(q[0].cfloat(), k), "real floating-point numbers"),
    "text": (lambda q, k: info_nce(q[:, 0], k, temperature="0.2"), "temperature must be"),
    "two-sided": (lambda q, k: EqCoLoss(two_sided="no"), "two_sided must be True or False, got"),
    "generator": (lambda q, k: EqCoLoss(generator=0), "generator must be a torch.Generator of the"),
    "queue": (lambda q, k: EqCoLoss(queue_size=2**31), "queue_size must be a whole number from 0"),
    "queue below 0": (lambda q, k: EqCoLoss(queue_size=-1), "queue_size must be a whole number"),
    "K of a queue": (lambda q, k: EqCoLoss(queue_size=8), "is 16, but the queue holds 8 keys"),
    "sides of a queue": (lambda q, k: EqCoLoss(queue_size=64, two_sided=True), "two_sided out"),
    "K": (lambda q, k: EqCoLoss(0), "num_negatives must be a whole number from 1"),
    "reduction": (lambda q, k: EqCoLoss(reduction="average"), "unknown reduction 'average'"),
    "reduction, later": (lambda q, k: changed(reduction="maen")(q, k), "'maen': did you mean mean"),
    "temperature, later": (lambda q, k: changed(temperature=0.0)(q, k), "above 0, got 0.0"),
    "and with labels": (
        lambda q, k: LabelLoss(changed(temperature="1"))(q, LABELS), "above 0, got '1'"
    ),
    **{
        f"K of {value!r}, later": (
            lambda q, k, value=value: changed(num_negatives=value)(q, k),
            f"num_negatives must be a whole number from 1 to .*, got {value!r}",
        )
        for value in (0, -1, 4.0, "x")
    },
    "K, later, with labels": (
        lambda q, k: LabelLoss(changed(num_negatives=0))(q, LABELS), "be a whole number .* got 0"
    ),
    "generator, later": (lambda q, k: changed(generator=0)(q, k), "a torch.Generator .* got 0"),
    "generator, later, with labels": (
        lambda q, k: LabelLoss(changed(generator="x"))(q, LABELS), "a torch.Generator .* got 'x'"
    ),
    "temperature": (lambda q, k: EqCoLoss(temperature=1e-40), "temperature must"),
    "second temperature": (
        lambda q, k: DualTemperatureLoss(second_temperature=1e-40), "second_temperature must"
    ),
    "second temperature, later": (
        lambda q, k: changed(DualTemperatureLoss, second_temperature=0.0)(q, k),
        "^second_temperature mu",
    ),
    "alpha": (lambda q, k: EqCoLoss(alpha=None), "alpha must be finite and above 0, got None"),
    "another batch": (lambda q, k: EqCoLoss()(q, k[:5]), r"\(N, D\) with N >= 2"),
    "rows": (lambda q, k: EqCoLoss()(q[0], k[0]), r"\(N, D\) with N >= 2"),
    "one image": (lambda q, k: EqCoLoss()(q[:1], k[:1]), "N >= 2.*one image has no others"),
    "more than there are": (lambda q, k: EqCoLoss(11)(q, k), "only 10 negatives are av.*drop_la"),
    "batch above a queue": (lambda q, k: with_queue(q, ONES(13, 8)), "holds 12 keys, the batch br"),
    "width of a queue": (lambda q, k: with_queue(q, ONES(5, 9)), "keys of 8 dimensions, the batch"),
    "lengths": (lambda q, k: plain(ONES(3), ONES(4, 5)), r"\(N, K\).*\(3,\) and \(4, 5\)"),
    "columns": (lambda q, k: plain(ONES(3, 1), ONES(3, 5)), r"\(N,\) and negatives \(N, K\)"),
    "flat": (lambda q, k: plain(ONES(3), ONES(3)), r"\(N,\) and negatives \(N, K\)"),
    "cube": (lambda q, k: plain(ONES(3), ONES(3, 5, 1)), r"\(N,\) and negatives \(N, K\)"),
    "no negatives": (lambda q, k: plain(ONES(3), ONES(3, 0)), "negatives must not be empty"),
    "no queries": (lambda q, k: plain(ONES(0), ONES(0, 3)), "negatives must not be empty"),
    "positive of NaN": (lambda q, k: plain(ONES(3) * math.nan, ONES(3, 4)), "positive holds NaN"),
    "negatives of inf": (lambda q, k: plain(ONES(3), ONES(3, 4) * math.inf), "negatives holds NaN"),
    "embeddings of NaN": (lambda q, k: plain(*similarities(q * math.nan, k, q)), "NaN"),
    "own keys": (lambda q, k: similarities(q, k, k.clone()), "hold the positive keys"),
    "own keys too": (lambda q, k: similarities(q, k, torch.cat([q, k])), "hold the positive keys"),
    "own, each": (lambda q, k: similarities(q, k, torch.stack([q, k], 1)), "hold the positive"),
    "shapes": (lambda q, k: similarities(q, k[:2], k), r"must be \(N, D\).*\(6, 8\).*\(2, 8\)"),
    "width": (lambda q, k: similarities(q, k, k[:, :7]), r"must be \(N, D\).*\(6, 7\)"),
    "all excluded": (
        lambda q, k: Similarities(q[:1], k[:1], k[:1], excluded=torch.zeros(1, 1).long()),
        r"no negatives are left: all 1 key\(s\)",
    ),
    "no square": (lambda q, k: off_diagonal(q), "similarity must be"),
    "draws": (
        lambda q, k: draw_columns(
            4, 11, torch.Generator(), "shared", total=12, place=torch.arange(12), draws=3
        ),
        "draws is 3, but 11 negatives are enough for 1 to 2 disjoint draws of 4",
    ),
    "ids": (lambda q, k: EqCoLoss(4)(q, k, ids=q[:, 0]), r"ids must be integers of shape \(6,\)"),
    "fewer ids": (lambda q, k: EqCoLoss(4)(q, k, ids=torch.arange(5)), r"ids must .* got \(5,\)"),
    "ids and queue": (
        lambda q, k: EqCoLoss(4, queue_size=64)(q, k, ids=torch.arange(6)), "leave ids out"
    ),
    "both ways": (lambda q, k: EqCoLoss(cross_modal=True, queue_size=64), "leave two_sided and"),
    "own negatives": (lambda q, k: EqCoLoss(4)(q, k, negatives=q[:, :7]), r"must be .*\(6, 7\)"),
    "keys as negatives": (lambda q, k: EqCoLoss(4)(q, k, negatives=k), "hold the positive keys"),
    "no number": (lambda q, k: EqCoLoss(4)(q, k, negatives=k / 0), "negatives holds NaN or inf"),
    "labels of NaN": (lambda q, k: of_labels(q / 0, torch.arange(6)), "embeddings or ref_emb h"),
    "many temperatures": (lambda q, k: EqCoLoss(temperature=q[0]), r"shape \(8,\) of torch.float"),
    "scale": (lambda q, k: EqCoLoss(4)(q, k, logit_scale=-1.0), "logit_scale must be"),
    "text as scale": (lambda q, k: EqCoLoss(4)(q, k, logit_scale="5"), "logit_scale must be"),
    "list of ids": (lambda q, k: EqCoLoss(4)(q, k, ids=[1] * 6), "ids must be a tensor, got list"),
    "list of labels": (lambda q, k: of_labels(q, [1] * 6), "labels must be a tensor, got list"),
    "sparse": (lambda q, k: EqCoLoss(4)(q.to_sparse(), k), "got one of torch.sparse_coo: make it"),
    "8 bits": (lambda q, k: EqCoLoss(4)(q.to(torch.float8_e5m2), k), "16 bits at least, got torch"),
    "two devices": (lambda q, k: EqCoLoss(4)(q.to("meta"), k), "on one device, got meta and cpu"),
    "size of a queue": (lambda q, k: InfoNCELoss(queue_size=(2**24, 256)), "takes 16 GiB"),
    "labels": (lambda q, k: of_labels(q, k), r"embeddings must be \(N, D\) and labels \(N,\)"),
    "no labels": (lambda q, k: of_labels(q, q[:, 0], ref_emb=k), "ref_emb needs ref_labels"),
    "pairs": (lambda q, k: of_labels(q, q[:, 0], (q, k)), "3 or 4 tensors, got 2"),
    "list of negatives": (lambda q, k: EqCoLoss(4)(q, k, negatives=[k]), "of numbers, got list"),
    "no loss of labels": (lambda q, k: LabelLoss(torch.nn.CrossEntropyLoss()), "got CrossEntropy"),
    "width of references": (
        lambda q, k: of_labels(q, LABELS, ref_emb=k[:, :7], ref_labels=LABELS), "has 7 dimensions"
    ),
    "unknown label": (lambda q, k: of_labels(q, LABELS / 0), "labels holds NaN or infinite"),
    "place of a pair": (lambda q, k: of_labels(q, LABELS, (LABELS, LABELS, LABELS - 1)), "from -1"),
    "place too far": (lambda q, k: of_labels(q, LABELS, (LABELS + 6, *[LABELS] * 2)), "6 embed"),
    "places as floats": (lambda q, k: of_labels(q, LABELS, (q, q, q)), "torch.long, got torch.f"),
    "labels and queue": (lambda q, k: LabelLoss(EqCoLoss(queue_size=64)), "from the batch"),
    "one value": (lambda q, k: mutual_information.estimate(ONES(1)), "2 values at least"),
    "correlation of 1": (lambda q, k: Gaussians(1.0), "correlation must"),
    "no dimension": (lambda q, k: Gaussians(0.5, 0), "dim must"),
    "two dimensions": (lambda q, k: Gaussians(0.9, 2).limit_loss(alpha=1.0), "one dimension, this"),
    "one symbol": (lambda q, k: Symbols(1), "count must"),
    "alpha of symbols": (lambda q, k: Symbols(4).limit_loss(alpha=0), "alpha must"),
    "alpha of an estimate": (lambda q, k: paper_estimate(1.0, alpha=math.nan), "alpha must be fin"),
    "one negative": (lambda q, k: theory.squared_cv(q[:, :1], temperature=0.2), "with M >= 2"),
    "no K": (lambda q, k: diagnosis(q[:, 0], k, counts=()), "K must be at least 1"),
    "one query": (lambda q, k: diagnosis(q[:1, 0], k[:1], counts=(1,)), "2 queries at least"),
    "K of all": (lambda q, k: diagnosis(q[:, 0], k, counts=(4, 8)), "K must be below the 8 nega"),
    "tolerance": (
        lambda q, k: diagnosis(q[:, 0], k, counts=(1,), tolerance=1e-320), "tolerance must"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_one_sentence(name: str, generator: torch.Generator) -> None:
    call, sentence = CALLS[name]
    with pytest.raises(ValueError, match=sentence) as caught:
        call(*torch.randn(2, 6, 8, generator=generator))
    assert "\n" not in str(caught.value)


def test_a_third_tensor_is_refused_with_the_right_call() -> None:
    with pytest.raises(TypeError, match=r"EqCoLoss takes two tensors.*negatives="):
        EqCoLoss(4)(*torch.eye(6).expand(3, 6, 6))


NO_NEGATIVES: dict[str, Callable[[int], object]] = {
    "margin": lambda k: margin(k, temperature=0.2, alpha=16),
    "draw_columns": lambda k: draw_columns(
        k, 11, torch.Generator(), total=12, place=torch.arange(12)
    ),
    "mean_field_gap": lambda k: theory.mean_field_gap(7.0, num_negatives=k),
    "leading_gap": lambda k: theory.leading_gap(ONES(2), ONES(2), num_negatives=k),
    "gradient_noise_bound": lambda k: theory.gradient_noise_bound(
        0.5, 7.0, num_negatives=k, temperature=0.2
    ),
    "expected_loss": lambda k: theory.expected_loss(
        partial(eqco_info_nce, temperature=0.2), ONES(()), ONES(2), ONES(2) / 2, num_negatives=k
    ),
    "certified_bound": lambda k: mutual_information.certified_bound(1.0, alpha=16, num_negatives=k),
    "Symbols.loss": lambda k: Symbols(4).loss(alpha=16, num_negatives=k),
    "diagnose": lambda k: diagnosis(torch.zeros(4), torch.zeros(4, 9), counts=(k,)),
}  # fmt: skip


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("name", NO_NEGATIVES)
def test_no_negatives_are_refused(name: str, count: int) -> None:
    with pytest.raises(ValueError, match=rf"(num_negatives|K) must be .*1.*, got \[?{count}"):
        NO_NEGATIVES[name](count)

"""What makes a loss of logits a function of similarities, with the arguments that all share."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, overload

import torch
from torch import Tensor

from eqco.losses.logits import ContrastiveLogits, ExplicitSimilarities
from eqco.runtime.validation import check_name

Documented = TypeVar("Documented", bound=Callable[..., Any] | type)
P = ParamSpec("P")

ARGS = re.compile(r"^Args:\n(?:    .*\n)*", re.MULTILINE)  # of a docstring
BEHIND_ARGS = re.compile(r"^(?=>>>|Source:)|\Z", re.MULTILINE)
ARGUMENTS = """\
    positive: cosine similarities to the key of the same image, shape (N,).
    negatives: cosine similarities to keys of other images, shape (N, K).
    temperature: t, > 0; a tensor of shape () gets a gradient.
    reduction: "mean", "sum" or "none" over the queries.

Returns:
    Shape (), or (N,) without reduction; float32, or float64 for float64 input.

Raises:
    ValueError: shapes do not match, a similarity is not finite, or a number is out of its range.
"""


def with_arguments(documented: Documented, arguments: str = ARGUMENTS) -> Documented:
    """Add the arguments that several losses share to the docstring of one of them."""
    doc = f"{inspect.cleandoc(documented.__doc__ or '')}\n\n"
    if not ARGS.search(doc):
        doc = BEHIND_ARGS.sub("Args:\n\n", doc, count=1)
    documented.__doc__ = ARGS.sub(lambda own: own[0] + arguments, doc).rstrip()
    return documented


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "none": lambda losses: losses,
}


def reduced(losses: Tensor, reduction: str) -> Tensor:
    """The losses of the queries (N,): their mean or sum, shape (), or themselves."""
    if reduction not in REDUCTIONS:
        check_name("reduction", reduction, REDUCTIONS)
    return REDUCTIONS[reduction](losses)


class LossFunction(Protocol[P]):
    """A loss of positive (N,) and negative (N, K) similarities.

    `of_logits` has one value for each query, the loss itself their mean unless there is a
    `reduction`.
    """

    of_logits: Callable[Concatenate[ContrastiveLogits, P], Tensor]

    @overload
    def __call__(
        self, positive: Tensor, negatives: Tensor, *args: P.args, **settings: P.kwargs
    ) -> Tensor: ...

    @overload
    def __call__(
        self, positive: Tensor, negatives: Tensor, *, reduction: str, **settings: Any
    ) -> Tensor: ...


def of_similarities(loss: Callable[Concatenate[ContrastiveLogits, P], Tensor]) -> LossFunction[P]:
    """Make a loss of logits one of similarities; the loss itself is its attribute `of_logits`."""

    of_logits: Callable[..., Tensor] = loss

    @wraps(loss)
    def function(
        positive: Tensor, negatives: Tensor, *, reduction: str = "mean", **settings: Any
    ) -> Tensor:
        return reduced(of_logits(ExplicitSimilarities(positive, negatives), **settings), reduction)

    signature, kind = inspect.signature(loss), inspect.Parameter
    names = ("positive", "negatives")
    tensors = [kind(name, kind.POSITIONAL_OR_KEYWORD, annotation="Tensor") for name in names]
    last = kind("reduction", kind.KEYWORD_ONLY, default="mean", annotation="str")
    parameters = [*tensors, *list(signature.parameters.values())[1:], last]
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    function.of_logits = loss  # type: ignore[attr-defined]
    del function.__wrapped__  # the site would show the loss of logits
    return cast(LossFunction[P], with_arguments(function))

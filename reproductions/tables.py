"""What the tables share: rows are recipes by name, claims are statements about two rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eqco.data import folder_name
from eqco.judge import Verdict, better, equivalent, not_inferior
from eqco.recipe import SCALES, Recipe
from eqco.tree import identity, imagenet_name

Rows = dict[str, Recipe]
LOSSES = ("infonce", "eqco")
QUEUES = {"smoke": 128, "glyphs": 1024, "photos": 1024, "cifar10": 4096, "imagenet": 65536}


@dataclass(frozen=True)
class Claim:
    """A statement about two rows.

    Attributes:
        says: the statement in words.
        left, right: the rows; the difference is left - right.
        test: a function of `eqco.judge`.
    """

    says: str
    left: str
    right: str
    test: Callable[[Sequence[float], Sequence[float]], Verdict]


def data_of(option: str, data_dir: str, base: Recipe) -> tuple[Recipe, Path]:
    """The recipe with the data that --data asks for, and where that data lies.

    Args:
        option: "folder:PATH", "part:PATH", or "" for the scale's own data.
        data_dir: where the scale's own data lies or is downloaded to.
        base: the scale's baseline.

    Raises:
        ValueError: the scale takes other data, or the folder does not hold it.
    """
    if not option:
        if base.data == "folder" or base.from_files:
            raise ValueError("this scale needs --data folder:PATH with train/ and val/ or test/")
        return base, Path(data_dir)
    kind, _, path = option.partition(":")
    if kind not in ("folder", "part") or not path:
        raise ValueError(f"--data takes folder:PATH or part:PATH, got {option!r}")
    if base.views == "glyphs":
        raise ValueError("--data goes with --scale photos, cifar10 or imagenet")
    folder = Path(path).expanduser()
    if kind == "part":
        if not base.from_files:
            raise ValueError("--data part:PATH goes with --scale imagenet, others take folder:PATH")
        return replace(base, data=f"part:{identity(folder)}"), folder
    name = imagenet_name(folder) if base.from_files else folder_name(folder)
    return replace(base, data=name), folder


def baseline(scale: str, method: str, base: Recipe | None = None) -> Recipe:
    """InfoNCE with all negatives there are, the method in its usual form.

    At scale glyphs the learning rate is the best of those tried for all three methods (SWEEP.md);
    at imagenet it is the published one.

    Args:
        scale: a name in `eqco.recipe.SCALES`.
        method: "simo", "moco" or "simclr".
        base: another SiMo baseline than the scale's own, for images of one's own.
    """
    base = base or SCALES[scale].base
    if method == "simo":
        return base
    if method == "simclr":
        negatives = 2 * (base.batch_size - 1)
        return replace(base, method=method, num_negatives=negatives)
    queue = QUEUES[scale]
    if SCALES[scale].paper:
        base = replace(base, warmup_epochs=5.0)  # as the authors' copy; the official code has none
    return replace(
        base,
        method="moco",
        queue_size=queue,
        num_negatives=queue,
        bn_splits=8,
        projector="mlp",
    )


def alpha_of(base: Recipe) -> float:
    """EqCo's constant: the batch size, as in the paper's SiMo; the queue size for MoCo."""
    return float(base.queue_size or base.batch_size)


def row(base: Recipe, loss: str, num_negatives: int) -> Recipe:
    """The baseline with another loss and K."""
    return replace(
        base,
        loss=loss,
        num_negatives=num_negatives,
        alpha=alpha_of(base) if loss == "eqco" else None,
        second_temperature=1.0 if loss == "dual_temperature" else None,
    )


def name(recipe: Recipe, suffix: str = "") -> str:
    """Name of a row, such as "simo-eqco-k16"."""
    return f"{recipe.method}-{recipe.loss}-k{recipe.num_negatives}{suffix}"


def named(recipes: Sequence[Recipe]) -> Rows:
    """Rows by their plain names."""
    return {name(recipe): recipe for recipe in recipes}


def equals(says: str, left: str, right: str) -> Claim:
    """The rows agree within a point."""
    return Claim(f"{says}, within 1 point", left, right, equivalent)


def beats(says: str, left: str, right: str) -> Claim:
    """The left row is more accurate."""
    return Claim(says, left, right, better)


def holds_up(says: str, left: str, right: str) -> Claim:
    """The left row is not worse by a point or more."""
    return Claim(f"{says}, by a margin of 1 point", left, right, not_inferior)


def against_full(base: Recipe, below: Sequence[int], eqco_full: str) -> dict[str, Claim]:
    """Claim C1 of the paper, taken apart: per K below full K, three statements."""
    method, full = base.method, base.num_negatives
    found = {}
    for k in below:
        eqco, plain = f"{method}-eqco-k{k}", f"{method}-infonce-k{k}"
        found[f"eqco-k{k}-equals-full"] = equals(
            f"EqCo with K={k} is as accurate as with all {full} negatives", eqco, eqco_full
        )
        found[f"infonce-k{k}-drops"] = beats(
            f"InfoNCE with K={k} is less accurate than with all {full} negatives",
            f"{method}-infonce-k{full}",
            plain,
        )
        found[f"eqco-beats-infonce-k{k}"] = beats(
            f"EqCo with K={k} is more accurate than InfoNCE with K={k}", eqco, plain
        )
    return found

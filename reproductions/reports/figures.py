"""Pictures on the pages: the committed one, or the command that says what it needs."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
OUT = ROOT / "figures" / "out"
PICTURES = {
    "verdicts": "verdicts with their intervals",
    "share_recovered": "share recovered against the learning rate",
    "accuracy_vs_k": "linear probe accuracy against K",
    "mean_field": "loss gap and accuracy gap",
    "alpha": "accuracy and weight against alpha",
    "learning_rate": "accuracy against the learning rate",
    "noise_or_bias": "accuracy lost against the number of draws",
    "law": "accuracy lost against the predicted loss gap",
    "comparisons": "every comparison with its interval",
    "predictions": "planned comparisons: predicted and measured",
}


def picture(name: str, page: Path) -> str:
    """The picture of a figure, as a page shows it.

    Args:
        name: of the figure.
        page: the page, from whose folder the link starts.
    """
    path = OUT / f"{name}.png"
    if path.exists():
        link = os.path.relpath(path, page.parent).replace(os.sep, "/")
        return f"![{PICTURES[name]}]({link})"
    return f"Not drawn, for lack of records: `python -m figures.{name}` says which it needs."

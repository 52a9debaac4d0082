"""Small charts as inline SVG. Colours come from the page's style sheet, by class."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from reproductions.statistics.verdicts import MARGIN, Verdict

BAR = (110, 20)  # width and height of an interval
PLOT = (220, 110)  # of a training curve
LEFT, BOTTOM = 26, 16  # room for the labels of its axes

Curve = tuple[Sequence[float], Sequence[float]]  # steps, losses


def interval_bar(verdict: Verdict, reach: float) -> Markup:
    """A mean difference with its interval; shaded is a point to both sides of 0.

    Hidden from screen readers, since the numbers stand beside it.

    Args:
        verdict: on a claim.
        reach: points at both ends of the axis, > 0; what lies beyond is drawn at the end.
    """
    width, height = BAR
    middle = height / 2

    def x(points: float) -> float:
        return width / 2 * (1 + max(-1.0, min(1.0, points / reach)) * 0.97)

    line = Markup("")
    if verdict.n > 1:
        line = Markup('<path class="reach" d="M{:.1f} {}H{:.1f}"/>').format(
            x(verdict.low), middle, x(verdict.high)
        )
    return Markup(
        '<svg class="bar" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">'
        '<rect class="margin" x="{m:.1f}" y="0" width="{s:.1f}" height="{h}"/>'
        '<path class="zero" d="M{z} 0V{h}"/>{line}<circle cx="{c:.1f}" cy="{y}" r="3.5"/></svg>'
    ).format(
        w=width, h=height, m=x(-MARGIN), s=x(MARGIN) - x(-MARGIN), z=width / 2,
        line=line, c=x(verdict.mean), y=middle,
    )  # fmt: skip


def numbers(curve: Curve) -> bool:
    """Whether steps and losses are finite numbers, as many of one as of the other."""
    try:
        steps, losses = ([float(value) for value in values] for values in curve)
    except (TypeError, ValueError):
        return False
    return 1 < len(steps) == len(losses) and all(map(math.isfinite, [*steps, *losses]))


def path(curve: Curve, right: float, top: float) -> str:
    """The path of a curve in pixels, relative from point to point, since that is short."""
    width, height = PLOT[0] - LEFT, PLOT[1] - BOTTOM
    points = [
        (LEFT + round(width * step / right), round(height * (1 - loss / top)))
        for step, loss in zip(*curve, strict=True)
    ]
    moves = [
        f"{points[i][0] - points[i - 1][0]} {points[i][1] - points[i - 1][1]}"
        for i in range(1, len(points))
    ]
    return f"M{points[0][0]} {points[0][1]}l{' '.join(moves)}"


def curve_plot(curves: Sequence[Curve], ceiling: float | None, label: str) -> Markup:
    """Loss against step, a line a seed, over the expected range from 0 to `ceiling`.

    Args:
        curves: such that `numbers` holds; one at least.
        ceiling: of the expected range, shaded with a dashed edge; None where none is known.
        label: what a screen reader says instead.
    """
    right = max(curve[0][-1] for curve in curves) or 1.0
    top = 1.05 * max([ceiling or 0.0, *(loss for curve in curves for loss in curve[1])]) or 1.0
    width, height = PLOT
    floor = height - BOTTOM
    band = Markup("")
    if ceiling is not None:
        y = round(floor * (1 - ceiling / top))
        band = Markup(
            '<rect class="range" x="{}" y="{}" width="{}" height="{}"/>'
            '<path class="ceiling" d="M{} {}H{}"/>'
            '<text x="{}" y="{}" text-anchor="end">{:.1f}</text>'
        ).format(LEFT, y, width - LEFT, floor - y, LEFT, y, width, LEFT - 3, y + 4, ceiling)
    lines = Markup("").join(
        Markup('<path class="curve" d="{}"/>').format(path(curve, right, top)) for curve in curves
    )
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{band}{lines}'
        '<path class="axis" d="M{l} 0V{f}H{w}"/>'
        '<text x="{t}" y="{f}" text-anchor="end">0</text>'
        '<text x="{w}" y="{h}" dy="-3" text-anchor="end">{right:,.0f} steps</text></svg>'
    ).format(
        w=width, h=height, label=label, band=band, lines=lines, l=LEFT, t=LEFT - 3, f=floor,
        right=right,
    )  # fmt: skip

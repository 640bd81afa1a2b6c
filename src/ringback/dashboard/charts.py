"""Small charts as inline SVG, made on the server: time goes from left to right, a column or point for each part. Pure.

A chart stretches to the width it is given; words and numbers stand beside it as text, and a summary for whoever cannot
see it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

WIDTH: Final = 300.0
HEIGHT: Final = 64.0
_TOP: Final = 3.0

Series = Sequence[float | None]
"""A value for each column, None where there is none."""


def columns(bands: Sequence[tuple[str, Series]], *, summary: str) -> Markup:
    """Columns of bands stacked on one another.

    Args:
        bands: the class that colours it and the values, from the bottom up.
        summary: what the chart shows, in a sentence.
    """
    stacks = list(zip(*(values for _, values in bands), strict=True))
    most = max((sum(value or 0 for value in stack) for stack in stacks), default=0)
    step = WIDTH / max(1, len(stacks))
    drawn = [_floor()]
    bottoms = [0.0] * len(stacks)
    for name, values in bands:
        path = "".join(_bar(index * step, step, bottoms, index, value, most) for index, value in enumerate(values))
        if path:
            drawn.append(Markup('<path class="{}" d="{}"/>').format(name, path))
    return _svg(drawn, summary)


def lines(series: Sequence[tuple[str, Series]], *, summary: str, area: bool = False) -> Markup:
    """Lines over one scale, with gaps where there is no value.

    Args:
        series: the class that colours it and the values; the first is drawn last.
        summary: what the chart shows, in a sentence.
        area: whether what is below the first line is filled.
    """
    most = max((value for _, values in series for value in values if value is not None), default=0.0)
    drawn = [_floor()]
    for index, (name, values) in reversed(list(enumerate(series))):
        step = WIDTH / max(1, len(values) - 1)
        for run in _runs(values):
            points = [(at * step, _height(value, most)) for at, value in run]
            line = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            if len(points) == 1:
                x, y = points[0]
                line = f"{max(0.0, x - 1.5):.1f} {y:.1f}L{min(WIDTH, x + 1.5):.1f} {y:.1f}"
            elif area and index == 0:
                shape = f"M{points[0][0]:.1f} {HEIGHT}L{line}L{points[-1][0]:.1f} {HEIGHT}Z"
                drawn.append(Markup('<path class="{} area" d="{}"/>').format(name, shape))
            drawn.append(
                Markup('<path class="{} line" d="M{}" vector-effect="non-scaling-stroke"/>').format(name, line)
            )
    return _svg(drawn, summary)


def _svg(drawn: Sequence[Markup], summary: str) -> Markup:
    opening = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" preserveAspectRatio="none">'
    ).format(summary, WIDTH, HEIGHT)
    return opening + Markup("").join(drawn) + Markup("</svg>")


def _floor() -> Markup:
    return Markup('<path class="floor" d="M0 {:g}H{:g}" vector-effect="non-scaling-stroke"/>').format(HEIGHT, WIDTH)


def _bar(x: float, step: float, bottoms: list[float], index: int, value: float | None, most: float) -> str:
    if not value:
        return ""
    low, bottoms[index] = bottoms[index], bottoms[index] + value
    bottom, top = _height(low, most), _height(bottoms[index], most)
    if low == 0:
        top = min(top, HEIGHT - 1.5)  # one among thousands is still to be seen
    return f"M{x + step * 0.12:.1f} {bottom:.1f}V{top:.1f}h{step * 0.76:.1f}V{bottom:.1f}z"


def _height(value: float, most: float) -> float:
    return HEIGHT - (HEIGHT - _TOP) * (value / most if most else 0.0)


def _runs(values: Series) -> list[list[tuple[int, float]]]:
    """Stretches of neighbours that have a value."""
    runs: list[list[tuple[int, float]]] = []
    before: float | None = None
    for index, value in enumerate(values):
        if value is not None:
            if before is None:
                runs.append([])
            runs[-1].append((index, value))
        before = value
    return runs

"""Charts of a report as inline SVG: no script draws them, so they print and open anywhere. Colours come from page.css."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from panda_core.report.markup import number
from panda_core.scoring.metrics import Points

BINS = 48
COLOURS = ("#1d5fd6", "#b45309", "#166534", "#8b3f8f", "#0f7f8c", "#b42318")
"""Of curves that share a chart; a seventh begins again."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    points: Points
    stepped: bool = False
    """Whether each y holds from the x before: a precision-recall curve."""


def histogram(normal: NDArray[np.float64], odd: NDArray[np.float64], boundary: float) -> str:
    """Two kinds of scores, the second on top of the first, with the boundary. Neither both empty."""
    scores = np.concatenate([normal, odd])
    low, high = float(min(scores.min(), boundary)), float(max(scores.max(), boundary))
    span = (high - low) or 1.0
    edges = np.linspace(low, low + span, BINS + 1)
    below, above = np.histogram(normal, edges)[0], np.histogram(odd, edges)[0]
    x = 30 + 940 * (boundary - low) / span
    label = f"{scores.size} scores from {number(low)} to {number(high)}; the boundary is {number(boundary)}"
    return (
        f'<svg viewBox="0 0 1000 190" role="img" aria-label="{label}"><path class="axis" d="M30 160h940"/>{_bars(below, above)}'
        f'<path class="boundary" d="M{x:.1f} 8V166"/><text x="{min(max(x, 70), 930):.1f}" y="184" text-anchor="middle">'
        f'boundary {number(boundary)}</text><text x="30" y="176">{number(low)}</text>'
        f'<text x="970" y="176" text-anchor="end">{number(high)}</text><text x="4" y="18">{int((below + above).max())}</text></svg>'
    )


def unit_chart(curves: Sequence[Curve], *, x: str, y: str, guess: Points) -> str:
    """Curves in the unit square with their names below; ``guess``: what guessing reaches, dashed. ``x``, ``y``: names of the axes."""
    names = [escape(one.name) for one in curves]
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(curves))]
    lines = "".join(
        f'<path class="curve" stroke="{colour}" d="{_path(_stepped(one.points) if one.stepped else one.points)}"/>'
        for one, colour in zip(curves, colours, strict=True)
    )
    keys = "".join(f'<span><i style="background:{colour}"></i>{name}</span>' for name, colour in zip(names, colours, strict=True))
    return (
        f'<figure class="chart"><svg viewBox="0 0 400 390" role="img" aria-label="{escape(y)} over {escape(x)}">{_grid()}'
        f'<path class="boundary" d="{_path(guess)}"/>{lines}<text x="216" y="378" text-anchor="middle">{escape(x)}</text>'
        f'<text transform="translate(12 176) rotate(-90)" text-anchor="middle">{escape(y)}</text></svg>'
        f"<figcaption>{keys}</figcaption></figure>"
    )


def _grid() -> str:
    lines = "".join(f'<path class="axis" d="{_path(((0, at), (1, at)))}{_path(((at, 0), (at, 1)))}"/>' for at in (0, 0.25, 0.5, 0.75, 1))
    below = "".join(f'<text x="{_x(at):.0f}" y="356" text-anchor="middle">{at:g}</text>' for at in (0, 0.5, 1))
    beside = "".join(f'<text x="38" y="{_y(at) + 4:.0f}" text-anchor="end">{at:g}</text>' for at in (0, 0.5, 1))
    return lines + below + beside


def _bars(normal: NDArray[np.int64], odd: NDArray[np.int64]) -> str:
    width, scale = 940 / BINS, 150 / max(1, int((normal + odd).max()))
    parts = []
    for index, (below, above) in enumerate(zip(normal, odd, strict=True)):
        x, foot = 30 + index * width, 160.0
        for count, name in ((below, "normal"), (above, "anomalous")):
            if count:
                foot -= count * scale
                parts.append(f'<rect class="bar {name}" x="{x:.1f}" y="{foot:.1f}" width="{width - 1:.1f}" height="{count * scale:.1f}"/>')
    return "".join(parts)


def _x(share: float) -> float:
    return 46 + 340 * share


def _y(share: float) -> float:
    return 340 - 328 * share


def _path(points: Points) -> str:
    return "M" + "L".join(f"{_x(x):.1f} {_y(y):.1f}" for x, y in points)


def _stepped(points: Points) -> Points:
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(corners[-1][0], y), (x, y)]
    return ((0.0, points[0][1]), *corners)

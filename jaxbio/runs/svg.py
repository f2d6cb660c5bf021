"""Line charts as text: small enough to be drawn anew every few seconds beside a training run."""

import html
import math
from collections.abc import Mapping, Sequence

_WIDTH, _HEIGHT = 420, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 10, 24, 34  # margins
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b")
_POINTS = 400  # more than there are pixels is of no use

Series = tuple[Sequence[float], Sequence[float]]


def line_chart(series: Mapping[str, Series], title: str, x_label: str, marked: bool = False) -> str:
    """A chart with axes from the smallest to the largest value, as an SVG element.

    Args:
        series: per name, x and y of its points, ``[N]`` each, x rising; what is not finite is left
            out. Names are shown where there are several.
        title: above the chart.
        x_label: below it.
        marked: draw the points as well.

    Returns:
        ``<svg ...>...</svg>``, all text escaped; a chart without points says so.

    Raises:
        ValueError: x and y of different lengths.
    """
    points = {name: _finite(*values) for name, values in series.items()}
    every = [point for one in points.values() for point in one]
    parts = [_text(_LEFT, 14, title, "start")]
    if not every:
        parts.append(_text(_WIDTH / 2, _HEIGHT / 2, "nothing yet", "middle"))
        return _element(parts)
    x_range, y_range = (_range([point[axis] for point in every]) for axis in (0, 1))
    parts += _axes(x_range, y_range, x_label)
    for number, (name, one) in enumerate(points.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(_place_x(x, x_range), _place_y(y, y_range)) for x, y in one]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}"/>')
        if marked:
            parts += [
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>' for x, y in places
            ]
        if len(points) > 1:
            y = _HEIGHT - _BOTTOM - 6 - 12 * (len(points) - 1 - number)  # curves mostly rise
            parts.append(_text(_WIDTH - _RIGHT, y, name, "end", colour))
    return _element(parts)


def _finite(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    points = [p for p in zip(x, y, strict=True) if all(map(math.isfinite, p))]
    stride = -(-len(points) // _POINTS) or 1
    return points[::-1][::stride][::-1]  # the newest point is always shown


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _place_x(x: float, limits: tuple[float, float]) -> float:
    return _LEFT + (x - limits[0]) / (limits[1] - limits[0]) * (_WIDTH - _LEFT - _RIGHT)


def _place_y(y: float, limits: tuple[float, float]) -> float:
    share = (y - limits[0]) / (limits[1] - limits[0])
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _axes(x_range: tuple[float, float], y_range: tuple[float, float], x_label: str) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    frame = f"{_LEFT},{_TOP} {_LEFT},{bottom} {_WIDTH - _RIGHT},{bottom}"
    parts = [f'<polyline points="{frame}" fill="none" stroke="#888"/>']
    for x, anchor in zip(x_range, ("start", "end"), strict=True):
        parts.append(_text(_place_x(x, x_range), bottom + 14, f"{x:g}", anchor))
    for y in y_range:
        parts.append(_text(_LEFT - 4, _place_y(y, y_range) + 4, f"{y:.4g}", "end"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, bottom + 28, x_label, "middle"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{html.escape(text)}</text>"
    )


def _element(parts: list[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-size="11" font-family="sans-serif">{"".join(parts)}</svg>'
    )

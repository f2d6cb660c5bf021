"""What figures share: colours that colour-blind readers tell apart, chance, counts, intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from jaxbio.ops.intervals import wilson

# Petroff 2021, doi:10.48550/arXiv.2107.02270: ten colours, optimised for the three forms of colour
# blindness.
COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)
_MARKERS = "osD^vPX*<>"


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, so many inches large."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def line_style(number: int) -> dict[str, Any]:
    """Colour and marker of a line or a group; the marker differs where colours come again."""
    first, again = number % len(COLOURS), number // len(COLOURS)
    return {"color": COLOURS[first], "marker": _MARKERS[(first + again) % len(_MARKERS)]}


def percent(share: float) -> str:
    """For example ``6.25 %``."""
    return f"{100 * share:.3g} %"


def plain(value: float) -> str:
    """Of an axis, without an exponent: two or three digits, and all of what is before the point."""
    return f"{float(f'{value:.3g}' if abs(value) >= 1 else f'{value:.2g}'):g}"


def draw_chance(axes: Axes, chance: float) -> None:
    """A dotted line at the accuracy of guessing, in percent, named in the legend.

    Args:
        axes: of accuracies in percent.
        chance: in [0, 1].
    """
    axes.axhline(
        100 * chance, color="0.3", linestyle=":", linewidth=1.2, label=f"chance, {percent(chance)}"
    )


def whiskers(shares: ArrayLike, count: int) -> np.ndarray:
    """Distances to the ends of 95 % intervals, as ``errorbar`` takes them.

    Args:
        shares: ``[N]`` in [0, 1], each of ``count`` trials. Means of several shares of the same
            trials are allowed: their intervals are then too wide rather than too narrow.
        count: of trials.

    Returns:
        ``[2, N]``, in percent.
    """
    values = np.asarray(shares, float)
    low, high = np.array([wilson(float(share), count) for share in values]).reshape(-1, 2).T
    return 100 * np.maximum([values - low, high - values], 0)


def slanted(names: Sequence[str]) -> dict[str, Any]:
    """Arguments of ``set_xticks``: long names stand aslant, so that they do not overlap."""
    return {"rotation": 40, "ha": "right"} if max(map(len, names), default=0) > 5 else {}

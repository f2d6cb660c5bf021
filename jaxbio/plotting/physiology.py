"""Physiology of model units: tuning curves, receptive fields, distributions beside the monkey's."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

_COLUMNS = 4


class UnitTuning(NamedTuple):
    """One unit.

    Attributes:
        title: of its row.
        receptive_field: ``[y, x]``.
        orientation: ``[O]``, spikes/s.
        frequency: ``[F]`` or None.
        size: ``[R]`` or None.
    """

    title: str
    receptive_field: np.ndarray
    orientation: np.ndarray
    frequency: np.ndarray | None
    size: np.ndarray | None


class Histogram(NamedTuple):
    """One property.

    Attributes:
        edges: ``[B + 1]``.
        model: ``[B]``, shares of units.
        measured: ``[B]``, shares of neurons, or None.
        note: below the title: the score.
    """

    edges: np.ndarray
    model: np.ndarray
    measured: np.ndarray | None
    note: str


def plot_tuning(
    units: Sequence[UnitTuning],
    positions: np.ndarray,
    orientations: np.ndarray,
    frequencies: np.ndarray,
    radii: np.ndarray,
) -> Figure:
    """Draws a row per unit: receptive field, orientation (polar), frequency, size.

    Args:
        units: one or more.
        positions: of the receptive-field map on either axis, degrees.
        orientations: of the curves, degrees.
        frequencies: likewise, cycles per degree.
        radii: likewise, degrees.

    Returns:
        The figure.

    Raises:
        ValueError: there is no unit.
    """
    if not units:
        raise ValueError("no unit to plot: pass at least one")
    figure = Figure(figsize=(10, 2.1 * len(units)), layout="constrained")
    grid = figure.add_gridspec(len(units), 4)
    step = (positions[1] - positions[0]) / 2
    low, high = positions[0] - step, positions[-1] + step
    angle = np.deg2rad(np.concatenate([orientations, orientations + 180, orientations[:1] + 360]))
    for row, unit in enumerate(units):
        axes = figure.add_subplot(grid[row, 0])
        axes.imshow(unit.receptive_field, extent=(low, high, high, low), cmap="magma")
        axes.set_ylabel(unit.title, fontsize="small")
        axes = figure.add_subplot(grid[row, 1], projection="polar")
        axes.plot(angle, np.concatenate([unit.orientation, unit.orientation, unit.orientation[:1]]))
        axes.set_xticks(np.deg2rad([0, 45, 90, 135, 180, 225, 270, 315]), labels=[])
        axes.tick_params(labelsize="x-small")
        last = row == len(units) - 1
        for column, curve, at, label in (
            (2, unit.frequency, frequencies, "cycles per degree"),
            (3, unit.size, 2 * radii, "diameter (degrees)"),
        ):
            axes = figure.add_subplot(grid[row, column])
            if curve is None:
                axes.set_axis_off()
                continue
            axes.semilogx(at, curve, marker=".", base=2)
            axes.set_ylim(min(0, curve.min()), None)
            axes.xaxis.set_major_formatter("{x:g}")
            if last:
                axes.set_xlabel(label)
    figure.suptitle("receptive field, orientation, spatial frequency, size (spikes/s)")
    return figure


def plot_distributions(histograms: Mapping[str, Histogram]) -> Figure:
    """Draws each property's distribution over units, and over neurons where it is known.

    Args:
        histograms: per property, one or more.

    Returns:
        The figure, a panel per property; bins are drawn equally wide.

    Raises:
        ValueError: there is no property.
    """
    if not histograms:
        raise ValueError("no property to plot: pass at least one")
    rows = -(-len(histograms) // _COLUMNS)
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in panels[len(histograms) :]:
        axes.set_axis_off()
    for axes, (name, histogram) in zip(panels, histograms.items(), strict=False):
        at = np.arange(len(histogram.model)) + 0.5
        if histogram.measured is not None:
            axes.bar(at, histogram.measured, width=0.9, color="0.75", label="macaque")
        axes.step(
            np.arange(len(at) + 1),
            np.append(histogram.model, histogram.model[-1:]),
            where="post",
            color="C0",
            label="model",
        )
        shown = np.arange(0, len(histogram.edges), max(1, len(at) // 4))
        axes.set_xticks(shown, [f"{histogram.edges[i]:.2g}" for i in shown], fontsize="small")
        title = name.replace("_", " ")
        axes.set_title(f"{title}\n{histogram.note}", fontsize="small", wrap=True)
    panels[0].legend(fontsize="x-small")
    return figure


def plot_over_time(scores: Mapping[str, Sequence[float]], labels: Sequence[str]) -> Figure:
    """Draws how scores change from time step to time step.

    Args:
        scores: property to a score per step, NaN where there is none.
        labels: of the steps.

    Returns:
        A figure of one panel.
    """
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, line in scores.items():
        axes.plot(range(len(labels)), line, marker="o", label=name.replace("_", " "))
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylabel("score / ceiling")
    axes.legend(fontsize="x-small", ncols=2)
    return figure

"""Physiology of model units: tuning curves, receptive fields, distributions beside the monkey's."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, NamedTuple, cast

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.style import line_style, panel, plain

_COLUMNS = 4
_LABEL_WIDTH = 32  # characters
_LEGEND_ROWS = 16
_YES_NO_BINS = 2


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
        units: of the model, number.
        neurons: number, or None.
        unit: of the property, such as degrees; "" of a pure number.
        note: the score, and what was undefined.
    """

    edges: np.ndarray
    model: np.ndarray
    measured: np.ndarray | None
    units: int
    neurons: int | None
    unit: str
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
    figure = Figure(figsize=(11, 2.2 * len(units) + 0.8), layout="constrained")
    grid = figure.add_gridspec(len(units), 4)
    step = (positions[1] - positions[0]) / 2
    low, high = positions[0] - step, positions[-1] + step
    angle = np.deg2rad(np.concatenate([orientations, orientations + 180, orientations[:1] + 360]))
    for row, unit in enumerate(units):
        first, last = row == 0, row == len(units) - 1
        axes = figure.add_subplot(grid[row, 0])
        axes.imshow(unit.receptive_field, extent=(low, high, high, low), cmap="magma")
        axes.set(
            ylabel=f"{unit.title}\ny (degrees)",
            title="receptive field" if first else "",
            xlabel="x (degrees)" if last else "",
        )
        axes = cast(Any, figure.add_subplot(grid[row, 1], projection="polar"))
        axes.plot(angle, np.concatenate([unit.orientation, unit.orientation, unit.orientation[:1]]))
        axes.set_xticks(np.deg2rad([0, 90, 180, 270]), labels=["0°", "", "180°", ""])
        axes.set_yticks([unit.orientation.max()], [f"{unit.orientation.max():.3g}"])
        axes.set_rlabel_position(45)
        axes.tick_params(labelsize="small", pad=0)
        axes.set(
            title="orientation" if first else "", xlabel="spikes/s over degrees" if last else ""
        )
        for column, curve, at, label, title in (
            (2, unit.frequency, frequencies, "cycles per degree", "spatial frequency"),
            (3, unit.size, 2 * radii, "diameter (degrees)", "size"),
        ):
            axes = figure.add_subplot(grid[row, column])
            if curve is None:
                axes.set_axis_off()
                continue
            axes.semilogx(at, curve, marker=".", base=2)
            axes.set_ylim(min(0, curve.min()), None)
            axes.xaxis.set_major_formatter("{x:g}")
            axes.set(ylabel="spikes/s", title=title if first else "", xlabel=label if last else "")
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
    columns = min(_COLUMNS, len(histograms))
    rows = -(-len(histograms) // columns)
    figure = Figure(figsize=(max(5.0, 3.1 * columns), 2.9 * rows + 0.5), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(histograms) :]:
        axes.set_axis_off()
    handles = {}
    for axes, (name, histogram) in zip(panels, histograms.items(), strict=False):
        bins = len(histogram.model)
        if histogram.measured is not None:
            at = np.arange(bins) + 0.5
            handles["neurons (macaque V1)"] = axes.bar(
                at, histogram.measured, width=0.9, color="0.75"
            )
        handles["units of the model"] = axes.stairs(
            histogram.model, np.arange(bins + 1), color="C0", linewidth=1.5, baseline=None
        )
        if bins == _YES_NO_BINS:
            axes.set_xticks([0.5, 1.5], ["no", "yes"])
        else:
            shown = np.arange(0, bins + 1, max(1, -(-bins // 4)))
            axes.set_xticks(shown, [plain(histogram.edges[i]) for i in shown])
        axes.set_ylim(0, None)
        label = name.replace("_", " ") + (f" ({histogram.unit})" if histogram.unit else "")
        axes.set_xlabel(fill(label, _LABEL_WIDTH))
        counts = f"{histogram.units:,} units"
        counts += "" if histogram.neurons is None else f", {histogram.neurons:,} neurons"
        axes.set_title(f"{counts}\n{histogram.note}".strip(), fontsize="medium")
    figure.supylabel("share of units, share of neurons")
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=2)
    return figure


def plot_over_time(scores: Mapping[str, Sequence[float]], labels: Sequence[str]) -> Figure:
    """Draws how scores change from time step to time step.

    Args:
        scores: property to a score per step, NaN where there is none.
        labels: of the steps.

    Returns:
        A figure of one panel.
    """
    columns = -(-len(scores) // _LEGEND_ROWS)
    figure, axes = panel(5 + 3.6 * columns, 4.4)
    for number, (name, line) in enumerate(scores.items()):
        label = fill(name.replace("_", " "), _LABEL_WIDTH)
        axes.plot(range(len(labels)), line, label=label, **line_style(number))
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlabel="time step", ylabel="score (1: the ceiling)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small", ncols=columns)
    return figure

"""A recurrent network over its time steps: activation maps, accuracy, RDMs."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxbio.plotting.style import draw_chance, line_style, panel, whiskers

_BEFORE = "0.6"  # grey of what happens before the image has arrived


def plot_activation_maps(
    image: np.ndarray, maps: Mapping[str, np.ndarray], arrival: Mapping[str, int] | None = None
) -> Figure:
    """An image, and below each other the areas' maps over time.

    Args:
        image: ``[H, W, 3]``, values 0..1.
        maps: area to ``[T, H', W']``, for example the mean over channels; the shades of an area are
            comparable over its steps.
        arrival: area to the first step at which it depends on the image; earlier titles are grey.

    Returns:
        A figure of a row per area: the image on the left, then a column per step.

    Raises:
        ValueError: no area is given.
    """
    steps = _longest(maps)
    figure, panels = _grid(len(maps), steps + 1)
    panels[0, 0].imshow(image)
    panels[0, 0].set_title("image", fontsize="small")
    for row, (area, over_time) in zip(panels, maps.items(), strict=True):
        low, high = over_time.min(), over_time.max()
        for t, plane in enumerate(over_time):
            row[t + 1].imshow(plane, cmap="magma", vmin=low, vmax=high)
            _title(row[t + 1], area, t, arrival)
    _caption(figure, "Activity over time, each area in its own scale", arrival)
    return figure


def plot_rdms_over_time(
    rdms: Mapping[str, np.ndarray],
    arrival: Mapping[str, int] | None = None,
    label: str = "dissimilarity",
) -> Figure:
    """The dissimilarities of the responses to some images, per area and step.

    Args:
        rdms: area to ``[T, N, N]``; all in one scale of colours.
        arrival: area to the first step at which it depends on the image; earlier titles are grey.
        label: of the colour bar: the dissimilarity, with its unit.

    Returns:
        A figure of a row per area, a column per step, and a colour bar.

    Raises:
        ValueError: no area is given.
    """
    steps = _longest(rdms)
    figure, panels = _grid(len(rdms), steps)
    high = max(float(matrices.max()) for matrices in rdms.values())
    shown: Any = None
    for row, (area, matrices) in zip(panels, rdms.items(), strict=True):
        for t, matrix in enumerate(matrices):
            shown = row[t].imshow(matrix, cmap="viridis", vmin=0, vmax=high)
            _title(row[t], area, t, arrival)
    figure.colorbar(shown, ax=panels, label=label, shrink=0.6)
    images = len(next(iter(rdms.values()))[0])
    _caption(figure, f"Dissimilarities of {images} images over time", arrival)
    return figure


def plot_accuracy_over_time(
    accuracy: Mapping[str, Sequence[float]], chance: float, count: int, arrival: int = 0
) -> Figure:
    """Accuracy at every time step.

    Args:
        accuracy: per line, its name and the accuracies in [0, 1], one per step.
        chance: accuracy of guessing.
        count: of images.
        arrival: first step at which the readout depends on the image; earlier ones are shaded.

    Returns:
        A figure of one panel.

    Raises:
        ValueError: no line is given.
    """
    steps = _longest(accuracy)
    figure, axes = panel(5.4, 3.6)
    for number, (name, values) in enumerate(accuracy.items()):
        axes.errorbar(
            np.arange(len(values)), 100 * np.asarray(values), whiskers(values, count), capsize=3,
            label=name, **line_style(number),
        )  # fmt: skip
    draw_chance(axes, chance)
    if arrival:
        axes.axvspan(-0.5, arrival - 0.5, color=_BEFORE, alpha=0.3, label="before the image")
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_xticks(range(0, steps, max(1, steps // 10)))
    axes.set(ylim=(-2, 102), xlabel="time step", ylabel="top-1 accuracy (%)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    axes.set_title(f"{count:,} images, whiskers are 95 % intervals", fontsize="medium")
    return figure


def _longest(rows: Mapping[str, Sized]) -> int:
    if not rows:
        raise ValueError("nothing to plot: pass at least one area or line")
    return max(len(row) for row in rows.values())


def _grid(rows: int, columns: int) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(1.3 * columns + 0.6, 1.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    return figure, panels


def _title(axes: Axes, area: str, step: int, arrival: Mapping[str, int] | None) -> None:
    before = arrival is not None and step < arrival.get(area, 0)
    axes.set_title(f"{area}, t={step}", fontsize="small", color=_BEFORE if before else "black")


def _caption(figure: Figure, what: str, arrival: Mapping[str, int] | None) -> None:
    grey = "" if arrival is None else "\n(grey titles: before the image has arrived)"
    figure.suptitle(f"{what}{grey}", fontsize="medium")

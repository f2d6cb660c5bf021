"""Spiking networks: accuracies, votes, searches over parameters."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.cells import label_cells
from jaxbio.plotting.style import draw_chance, panel, percent, slanted

_MOST_WHISKERS = 20  # beyond it they are one band

Floats = Sequence[float] | np.ndarray


def plot_accuracies(
    names: Sequence[str], accuracies: Floats, errors: Floats, label: str, chance: float, note: str
) -> Figure:
    """Bars of accuracies with their standard errors: by class, by network, by readout.

    Args:
        names: ``[N]``.
        accuracies: ``[N]`` in [0, 1]; NaN leaves a gap.
        errors: ``[N]`` standard errors.
        label: of the horizontal axis.
        chance: accuracy of guessing.
        note: above the panel: how many images, what the whiskers are.

    Returns:
        A figure of one panel.
    """
    figure, axes = panel(max(4.8, 0.6 * len(names) + 1.5), 3.8)
    values = 100 * np.asarray(accuracies, float)
    axes.bar(range(len(names)), values, yerr=100 * np.asarray(errors, float), capsize=3)
    draw_chance(axes, chance)
    axes.set_xticks(range(len(names)), names, **slanted(names))
    axes.set(ylim=(0, 102), ylabel="accuracy (%)", xlabel=label)
    axes.set_title(note, fontsize="medium")
    figure.legend(loc="outside lower right", fontsize="small")
    return figure


def plot_accuracy_curve(
    sizes: Floats,
    accuracies: Floats,
    errors: Floats,
    label: str,
    note: str,
    chance: float | None = None,
    best: bool = False,
) -> Figure:
    """Accuracy against a number: training images, calibration images, or the n of top-n voting.

    Args:
        sizes: ``[N]``, the horizontal axis.
        accuracies: ``[N]`` in [0, 1].
        errors: ``[N]``, what the note says.
        label: of the horizontal axis.
        note: above the panel: how many images, what the whiskers are.
        chance: accuracy of guessing, None if unknown.
        best: mark the highest point.

    Returns:
        A figure of one panel.
    """
    figure, axes = panel(5, 3.6)
    values, spread = 100 * np.asarray(accuracies, float), 100 * np.asarray(errors, float)
    if len(values) > _MOST_WHISKERS:
        axes.plot(sizes, values)
        axes.fill_between(sizes, values - spread, values + spread, alpha=0.3, linewidth=0)
        note = note.replace("whiskers", "shaded")
    else:
        axes.errorbar(sizes, values, spread, marker="o", capsize=3)
    if chance is not None:
        draw_chance(axes, chance)
        axes.legend(fontsize="small")
    if best and len(values):
        top = int(np.argmax(values))
        note = f"best {values[top]:.1f} % at {sizes[top]:g}\n{note}"
    axes.set_title(note, fontsize="medium")
    axes.set(xlabel=label, ylabel="accuracy (%)")
    axes.grid(alpha=0.3)
    return figure


def plot_votes(mean: np.ndarray, std: np.ndarray) -> Figure:
    """How specialised neurons are: their votes by rank.

    Args:
        mean: ``[classes]`` of :func:`jaxbio.spiking.accuracy.votes_distribution`.
        std: ``[classes]``.

    Returns:
        A figure of one panel.
    """
    figure, axes = panel(5, 3.6)
    ranks = np.arange(1, len(mean) + 1)
    axes.bar(ranks, 100 * np.asarray(mean), yerr=100 * np.asarray(std), capsize=3)
    draw_chance(axes, 1 / len(mean))
    axes.legend(fontsize="small")
    axes.set_title("means over neurons, whiskers are standard deviations", fontsize="medium")
    axes.set_xticks(ranks)
    axes.set(xlabel="label, from a neuron's favourite to its last", ylabel="share of its votes (%)")
    return figure


def plot_scores(scores: np.ndarray, names: Sequence[str], label: int) -> Figure:
    """The scores of one image.

    Args:
        scores: ``[C]``, as voted.
        names: ``[C]``.
        label: the one that was given, or -1.

    Returns:
        A figure of one panel, the given label in another colour.
    """
    figure, axes = panel(5, 2.8)
    colours = ["C3" if number == label else "C0" for number in range(len(names))]
    axes.bar(range(len(names)), scores, color=colours)
    axes.set_xticks(range(len(names)), names)
    axes.set(
        xlabel="label",
        ylabel="score (votes)",
        title="no label" if label < 0 else f"label {names[label]}",
    )
    return figure


def plot_search(
    x: Sequence[float],
    y: Sequence[float],
    accuracies: Sequence[float],
    x_label: str,
    y_label: str,
    surface: bool = False,
    chance: float | None = None,
) -> Figure:
    """A search over two parameters as a heat map, or as a surface.

    Several networks at one place (seeds) have their mean and, in the heat map, their standard
    deviation; places without a network stay empty.

    Args:
        x: ``[N]`` values of one parameter, one per network.
        y: ``[N]`` values of the other.
        accuracies: ``[N]`` in [0, 1].
        x_label: name of the one.
        y_label: name of the other.
        surface: draw in three dimensions; needs a full grid.
        chance: accuracy of guessing, None if unknown.

    Returns:
        A figure of one panel.

    Raises:
        ValueError: no networks, lengths that differ, or a surface with holes or of a single row.
    """
    if not len(x) == len(y) == len(accuracies) or len(x) == 0:
        raise ValueError(f"{len(x)}, {len(y)}, {len(accuracies)} values: give one per network")
    xs, column = np.unique(np.asarray(x, float), return_inverse=True)
    ys, row = np.unique(np.asarray(y, float), return_inverse=True)
    places: dict[tuple[int, int], list[float]] = {}
    for place, accuracy in zip(zip(row, column, strict=True), accuracies, strict=True):
        places.setdefault(place, []).append(100 * accuracy)
    grid, deviations = np.full((2, len(ys), len(xs)), np.nan)
    for place, found in places.items():
        grid[place] = np.mean(found)
        if len(found) > 1:
            deviations[place] = np.std(found, ddof=1)
    figure = Figure(figsize=(6, 4.8), layout="constrained")
    counts = [len(found) for found in places.values()]
    few, many = min(counts), max(counts)
    seeds = f"{few}" if few == many else f"{few} to {many}"
    note = f"mean ± standard deviation of {seeds} networks" if many > 1 else "one network each"
    note += "" if chance is None else f"; chance {percent(chance)}"
    if surface:
        if np.isnan(grid).any() or min(grid.shape) < 2:
            raise ValueError(f"a surface needs a full grid, 2 by 2 or more, not {grid.shape}")
        axes = figure.add_subplot(projection="3d")
        axes.plot_surface(*np.meshgrid(xs, ys), grid, cmap="viridis")
        axes.set_xticks(xs)
        axes.set_yticks(ys)
        note = note.replace(" ± standard deviation", "")
        axes.set_zlabel("accuracy (%)")
    else:
        axes = figure.subplots()
        picture = axes.imshow(grid, origin="lower", aspect="auto", cmap="viridis")
        figure.colorbar(picture, ax=axes, label="accuracy (%)")
        axes.set_xticks(range(len(xs)), [f"{value:g}" for value in xs])
        axes.set_yticks(range(len(ys)), [f"{value:g}" for value in ys])
        label_cells(picture, ".1f", deviations)
    axes.set(xlabel=x_label, ylabel=y_label)
    axes.set_title(note, fontsize="medium")
    return figure

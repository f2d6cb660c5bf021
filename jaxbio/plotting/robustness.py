"""Accuracy under corruptions: a heat map of one network, bars of several."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.cells import label_cells
from jaxbio.plotting.style import COLOURS, panel, percent, slanted, whiskers


def plot_robustness(
    accuracy: np.ndarray,
    names: Sequence[str],
    severities: Sequence[int],
    clean: float,
    chance: float | None = None,
    count: int | None = None,
) -> Figure:
    """A heat map: corruptions down, severities across, accuracies written into the cells.

    Args:
        accuracy: top-1 in [0, 1], ``[len(names), len(severities)]``, NaN where it was not measured.
        names: of the corruptions.
        severities: of the columns.
        clean: top-1 without corruption.
        chance: accuracy of guessing, None if unknown.
        count: of images, None if unknown. With it the title has the widest 95 % interval.
    """
    figure, axes = panel(4.6 + 0.6 * len(severities), 2.2 + 0.3 * len(names))
    picture = axes.imshow(100 * accuracy, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(severities)), [str(s) for s in severities])
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set(xlabel="severity", ylabel="corruption")
    title = f"clean {100 * clean:.1f} %"
    title += "" if chance is None else f", chance {percent(chance)}"
    if count:
        widest = whiskers(accuracy[np.isfinite(accuracy)], count).max(initial=0)
        title += f"\n{count:,} images, 95 % intervals within ± {widest:.1f} %"
    axes.set_title(title, fontsize="medium")
    label_cells(picture)
    figure.colorbar(picture, ax=axes, label="top-1 accuracy (%)")
    return figure


def plot_robustness_comparison(
    errors: Mapping[str, Sequence[float]], names: Sequence[str], chance: float, count: int
) -> Figure:
    """Bars side by side: the error of several networks under every corruption.

    Args:
        errors: label of a network to its top-1 errors in [0, 1], one per name.
        names: of the corruptions (or of means).
        chance: accuracy of guessing.
        count: of images.
    """
    figure, axes = panel(3.2 + (0.25 + 0.12 * len(errors)) * len(names), 4.6)
    width = 0.8 / len(errors)
    places = np.arange(len(names))
    for number, (label, values) in enumerate(errors.items()):
        axes.bar(
            places + width * number, 100 * np.asarray(values), width, label=label,
            yerr=whiskers(values, count), error_kw={"linewidth": 0.8},
            color=COLOURS[number % len(COLOURS)],
        )  # fmt: skip
    axes.axhline(
        100 * (1 - chance), color="0.3", linestyle=":", linewidth=1.2,
        label=f"error of chance, {percent(1 - chance)}",
    )  # fmt: skip
    middle = places + width * (len(errors) - 1) / 2
    axes.set_xticks(middle, [n.replace("_", " ") for n in names], **slanted(names))
    axes.set(xlabel="corruption", ylabel="top-1 error (%), mean of severities", ylim=(0, 102))
    axes.set_title(f"{count:,} images, whiskers are 95 % intervals", fontsize="medium")
    figure.legend(loc="outside upper center", ncols=3, fontsize="small")
    return figure

"""Accuracy under corruptions: a heat map of one network, bars of several."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.cells import label_cells


def plot_robustness(
    accuracy: np.ndarray, names: Sequence[str], severities: Sequence[int], clean: float
) -> Figure:
    """A heat map: corruptions down, severities across, accuracies written into the cells.

    Args:
        accuracy: top-1 in [0, 1], ``[len(names), len(severities)]``.
        names: of the corruptions.
        severities: of the columns.
        clean: top-1 without corruption.
    """
    height = 1.2 + 0.3 * len(names)
    figure = Figure(figsize=(3.6 + 0.6 * len(severities), height), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(100 * accuracy, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(severities)), [str(s) for s in severities])
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlabel("severity")
    axes.set_title(f"top-1 accuracy (%); clean {100 * clean:.1f} %")
    label_cells(picture)
    figure.colorbar(picture, ax=axes)
    return figure


def plot_robustness_comparison(
    errors: Mapping[str, Sequence[float]], names: Sequence[str]
) -> Figure:
    """Bars side by side: the error of several networks under every corruption.

    Args:
        errors: label of a network to its top-1 errors in [0, 1], one per name.
        names: of the corruptions (or of means).
    """
    figure = Figure(figsize=(2.5 + 0.55 * len(names), 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(errors)
    places = np.arange(len(names))
    for number, (label, values) in enumerate(errors.items()):
        axes.bar(places + width * number, 100 * np.asarray(values), width, label=label)
    axes.set_xticks(
        places + width * (len(errors) - 1) / 2, [n.replace("_", " ") for n in names], rotation=60,
        ha="right",
    )  # fmt: skip
    axes.set_ylabel("top-1 error (%), mean of severities")
    axes.legend()
    return figure

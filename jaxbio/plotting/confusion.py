"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.ops.intervals import wilson
from jaxbio.plotting.cells import label_cells
from jaxbio.plotting.style import panel, percent

_MOST_LABELLED = 20


def plot_confusion(
    confusion: np.ndarray, names: Sequence[str], chance: float | None = None
) -> Figure:
    """A confusion matrix as a heat map.

    Args:
        confusion: ``[K, K]`` numbers of pictures: class, answer. ``[K, K + 1]`` has pictures
            without an answer in the last column.
        names: ``[K]``.
        chance: accuracy of guessing; None takes one of K.

    Returns:
        A figure: each row in percent of its pictures, numbers in the cells of up to 20 classes; a
        class without pictures is an empty row. The title has the accuracy with its 95 % interval.
    """
    confusion = np.asarray(confusion)
    totals = confusion.sum(1, keepdims=True)
    shares = np.ma.masked_where((confusion == 0) | (totals == 0), confusion) * 100.0
    shares = shares / np.maximum(totals, 1)
    answers = [*names, "none"][: confusion.shape[1]]
    labelled = len(names) <= _MOST_LABELLED
    side = 3 + (0.42 if labelled else 0.2) * len(names)
    figure, axes = panel(side + 1, side)
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if labelled:
        label_cells(picture)
    figure.colorbar(picture, ax=axes, label="answers (% of the class's pictures)", shrink=0.8)
    size = "medium" if labelled else "x-small"
    axes.set_xticks(range(len(answers)), answers, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(xlabel="answer", ylabel="class")
    correct, count = int(np.trace(confusion)), int(confusion.sum())
    title = f"{correct:,} of {count:,} pictures right"
    if count:
        low, high = wilson(correct / count, count)
        title += f": {percent(correct / count)}\n95 % interval {percent(low)} to {percent(high)}"
    chance = 1 / len(names) if chance is None else chance
    axes.set_title(f"{title}; chance {percent(chance)}", fontsize="medium")
    return figure

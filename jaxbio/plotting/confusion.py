"""Which classes are taken for which."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.cells import label_cells

_MOST_LABELLED = 20


def plot_confusion(confusion: np.ndarray, names: Sequence[str]) -> Figure:
    """A confusion matrix as a heat map.

    Args:
        confusion: ``[K, K]`` numbers of pictures: class, answer.
        names: ``[K]``.

    Returns:
        A figure: each row in percent of its pictures, numbers in the cells of up to 20 classes; a
        class without pictures is an empty row.
    """
    confusion = np.asarray(confusion)
    totals = confusion.sum(1, keepdims=True)
    shares = np.ma.masked_where((confusion == 0) | (totals == 0), confusion) * 100.0
    shares = shares / np.maximum(totals, 1)
    side = 2.5 + (0.42 if len(names) <= _MOST_LABELLED else 0.2) * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    if len(names) <= _MOST_LABELLED:
        label_cells(picture)
    figure.colorbar(picture, ax=axes, label="answers, % of the class's pictures", shrink=0.8)
    size = "medium" if len(names) <= _MOST_LABELLED else "x-small"
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel("answer")
    correct = int(np.trace(confusion))
    axes.set_ylabel("class")
    axes.set_title(f"{correct} of {int(confusion.sum())} pictures right", fontsize="medium")
    return figure

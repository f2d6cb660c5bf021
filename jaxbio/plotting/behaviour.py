"""An observer beside people: accuracy and error consistency by condition, and confusions."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure


def plot_behaviour(result: dict[str, Any]) -> Figure:
    """Lines over conditions, and the confusion matrix.

    Args:
        result: of the behaviour measure: ``conditions`` and ``confusion``.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    conditions = result["conditions"]
    places = range(len(conditions))
    for axes, keys, title in (
        (left, ("accuracy", "human_accuracy"), "accuracy"),
        (middle, ("error_consistency", "human_error_consistency"), "error consistency (kappa)"),
    ):
        for key, label in zip(keys, ("network", "people"), strict=True):
            values = [cell.get(key) for cell in conditions.values()]
            if None not in values:
                axes.plot(places, values, marker="o", label=label)
        axes.set_xticks(places, list(conditions), rotation=60, ha="right")
        axes.set_title(title)
        if axes.lines:
            axes.legend()
    left.axhline(1 / 16, color="grey", linestyle=":", linewidth=1)
    left.set_ylim(0, 1.02)
    answers = result["confusion"]["answers"]
    shares = np.asarray(result["confusion"]["shares"], float)
    picture = right.imshow(shares, vmin=0, vmax=1, cmap="magma_r")
    right.set_xticks(range(shares.shape[1]), answers[: shares.shape[1]], rotation=90, size=7)
    right.set_yticks(range(len(answers)), answers, size=7)
    right.set_xlabel("shown")
    right.set_ylabel("answered")
    figure.colorbar(picture, ax=right)
    return figure

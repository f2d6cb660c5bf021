"""An observer beside people: accuracy and error consistency by condition, and confusions."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.style import draw_chance, line_style, slanted, whiskers


def plot_behaviour(result: dict[str, Any]) -> Figure:
    """Lines over conditions, and the confusion matrix.

    Args:
        result: of the behaviour measure: ``conditions``, ``confusion``, ``images``.

    Returns:
        A figure of accuracy, error consistency where people are known, and confusions, with 95 %
        intervals: those of the conditions' ``intervals``, else Wilson's of the network's accuracy
        where conditions tell their ``images``.
    """
    conditions = result["conditions"]
    panels = [("accuracy", "human_accuracy", "accuracy (%)", 100)]
    if all(cell.get("error_consistency") is not None for cell in conditions.values()):
        name = "error consistency with people (κ)"
        panels.append(("error_consistency", "human_error_consistency", name, 1))
    figure = Figure(figsize=(4.2 * len(panels) + 5.4, 4.8), layout="constrained")
    *plots, right = figure.subplots(1, len(panels) + 1, width_ratios=[1] * len(panels) + [1.25])
    places = range(len(conditions))
    for axes, (own, human, label, scale) in zip(plots, panels, strict=True):
        for number, (key, who) in enumerate(((own, "network"), (human, "people"))):
            cells = [cell.get(key) for cell in conditions.values()]
            if None in cells:
                continue
            values = scale * np.asarray(cells)
            spread = _spread(key, list(conditions.values()), values, scale)
            axes.errorbar(places, values, spread, capsize=3, label=who, **line_style(number))
        axes.set_xticks(places, list(conditions), **slanted(list(conditions)))
        axes.set(xlabel="condition", ylabel=label)
        axes.grid(alpha=0.3)
    draw_chance(plots[0], 1 / 16)
    plots[0].set_ylim(0, 102)
    for axes in plots:
        axes.legend(fontsize="small")
    answers = result["confusion"]["answers"]
    shares = 100 * np.asarray(result["confusion"]["shares"], float)
    picture = right.imshow(shares, vmin=0, vmax=100, cmap="magma_r")
    right.set_xticks(range(shares.shape[1]), answers[: shares.shape[1]], rotation=90, size=8)
    right.set_yticks(range(len(answers)), answers, size=8)
    right.set(xlabel="category shown", ylabel="category answered (na: none)")
    figure.colorbar(picture, ax=right, label="answers to the category shown (%)", shrink=0.8)
    figure.suptitle(
        f"Answers to {result['images']:,} images; whiskers are 95 % intervals", size="medium"
    )
    return figure


def _spread(
    key: str, cells: list[dict[str, Any]], values: np.ndarray, scale: float
) -> np.ndarray | None:
    """Distances to the ends of the intervals ``[2, conditions]``, or None: they are not known."""
    if all(key in cell.get("intervals", {}) for cell in cells):
        ends = scale * np.array([cell["intervals"][key] for cell in cells]).T
        return np.maximum([values - ends[0], ends[1] - values], 0)
    if key == "accuracy" and all("images" in cell for cell in cells):
        return np.hstack([whiskers([cell[key]], cell["images"]) for cell in cells])
    return None

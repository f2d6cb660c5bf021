"""Accuracy against the size of a perturbation; images, perturbations, attacked images."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

_LABELS = {"linf": "L∞", "l2": "L2", "l1": "L1"}


def plot_accuracy_under_attack(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[tuple[float, float]]]],
    chance: float,
) -> Figure:
    """One panel per norm: accuracy over epsilon, from the clean images at 0.

    Args:
        curves: norm to radii (0 first), accuracies in [0, 1] and their intervals, of one length.
        chance: accuracy of guessing.
    """
    figure = Figure(figsize=(4.2 * len(curves), 3.4), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axes, (norm, (radii, accuracies, intervals)) in zip(panels, curves.items(), strict=True):
        values = 100 * np.asarray(accuracies)
        low, high = (100 * np.asarray(intervals)).T
        axes.errorbar(
            radii, values, (np.maximum(values - low, 0), np.maximum(high - values, 0)),
            marker="o", capsize=3,
        )  # fmt: skip
        axes.axhline(100 * chance, color="grey", linestyle=":", linewidth=1)
        axes.set_xlabel(f"epsilon, {_LABELS[norm]}")
        axes.set_ylim(0, 102)
    panels[0].set_ylabel("top-1 accuracy (%)")
    return figure


def plot_attacked_images(
    clean: np.ndarray, attacked: np.ndarray, titles: Sequence[tuple[str, str]]
) -> Figure:
    """A row per image: as it was, the perturbation around grey, as attacked.

    The perturbation is stretched to the full range, by the factor that its title gives.

    Args:
        clean: ``[N, H, W, C]`` in [0, 1].
        attacked: likewise.
        titles: what the model said of the clean and of the attacked image.
    """
    figure = Figure(figsize=(5.4, 1.9 * len(clean)), layout="constrained")
    panels = figure.subplots(len(clean), 3, squeeze=False)
    for row, before, after, (first, second) in zip(panels, clean, attacked, titles, strict=True):
        change = after - before
        factor = 0.5 / max(float(np.abs(change).max()), 1e-6)
        pictures = (
            (before, first),
            (0.5 + factor * change, f"difference × {factor:.3g}"),
            (after, second),
        )
        for axes, (picture, title) in zip(row, pictures, strict=True):
            grey = picture.shape[-1] == 1
            axes.imshow(
                np.clip(picture[..., 0] if grey else picture, 0, 1),
                cmap="gray" if grey else None, vmin=0, vmax=1,
            )  # fmt: skip
            axes.set_title(title, size=8)
            axes.axis("off")
    return figure

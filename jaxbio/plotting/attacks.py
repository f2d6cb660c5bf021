"""Accuracy against the size of a perturbation; images, perturbations, attacked images."""

from collections.abc import Mapping, Sequence
from textwrap import shorten

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.style import draw_chance, plain

# Per norm the axis, and by what radii are multiplied there.
_AXES = {
    "linf": ("L∞ radius (1/255 of the range of a pixel)", 255),
    "l2": ("L2 radius (pixels in 0 to 1)", 1),
    "l1": ("L1 radius (pixels in 0 to 1)", 1),
}
_TITLE_WIDTH = 28  # characters


def plot_accuracy_under_attack(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float], Sequence[tuple[float, float]]]],
    chance: float,
    count: int,
) -> Figure:
    """One panel per norm: accuracy over the radius, from the clean images at 0.

    Radii stand at equal distances, since they usually grow by factors.

    Args:
        curves: norm to radii (0 first), accuracies in [0, 1] and their intervals, of one length.
        chance: accuracy of guessing.
        count: of images.
    """
    figure = Figure(figsize=(max(4.2 * len(curves), 5.4), 3.6), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False, sharey=True)[0]
    for axes, (norm, (radii, accuracies, intervals)) in zip(panels, curves.items(), strict=True):
        values = 100 * np.asarray(accuracies)
        low, high = (100 * np.asarray(intervals)).T
        label, unit = _AXES[norm]
        axes.errorbar(
            range(len(radii)), values, (np.maximum(values - low, 0), np.maximum(high - values, 0)),
            marker="o", capsize=3, label="network",
        )  # fmt: skip
        draw_chance(axes, chance)
        axes.set_xticks(range(len(radii)), [plain(unit * radius) for radius in radii])
        axes.set(xlabel=f"{label}, not to scale", ylim=(-2, 102))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("top-1 accuracy (%)")
    panels[-1].legend(fontsize="small")
    figure.suptitle(f"Under attack: {count:,} images, whiskers are 95 % intervals", size="medium")
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
            axes.set_title(shorten(title, _TITLE_WIDTH, placeholder="…"), size=8)
            axes.axis("off")
    return figure

"""Pictures of a data set beside each other."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure


def plot_samples(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str = "") -> Figure:
    """A row of pictures for each class.

    Args:
        rows: a name, and uint8 pictures ``[H, W, 3]`` or ``[H, W, 1]``; rows may differ in length.
        title: above all.

    Returns:
        A figure; pixels are drawn as squares, nothing is smoothed.
    """
    columns = max(len(pictures) for _, pictures in rows)
    longest = max(len(name) for name, _ in rows)
    size = (0.9 * columns + 0.09 * longest + 0.3, 0.95 * len(rows) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, pictures) in zip(axes, rows, strict=True):
        for axis in line:
            axis.set(xticks=[], yticks=[], frame_on=False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, pixels in zip(line, pictures, strict=False):
            shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            axis.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if title:
        figure.suptitle(title, fontsize="medium")
    return figure

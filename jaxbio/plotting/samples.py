"""Pictures of a data set beside each other."""

from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.figure import Figure

_NAME_WIDTH = 24  # characters


def plot_samples(rows: Sequence[tuple[str, Sequence[np.ndarray]]], title: str = "") -> Figure:
    """A row of pictures for each class.

    Args:
        rows: a name, and uint8 pictures ``[H, W, 3]`` or ``[H, W, 1]``; rows may differ in length.
        title: above all.

    Returns:
        A figure; pixels are drawn as squares, nothing is smoothed.
    """
    columns = max(len(pictures) for _, pictures in rows)
    names = [fill(name, _NAME_WIDTH) for name, _ in rows]
    longest = max(len(line) for name in names for line in name.split("\n"))
    size = (0.9 * columns + 0.09 * longest + 0.3, 0.95 * len(rows) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for line, name, (_, pictures) in zip(axes, names, rows, strict=True):
        for axis in line:
            axis.set(xticks=[], yticks=[], frame_on=False)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for axis, pixels in zip(line, pictures, strict=False):
            shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
            axis.imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    if title:
        figure.suptitle(title, fontsize="medium")
    return figure

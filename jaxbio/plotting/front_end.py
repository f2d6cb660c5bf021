"""What the fixed V1 looks for, and what it sees."""

import numpy as np
from matplotlib.figure import Figure

from jaxbio.plotting.cells import tile


def plot_v1(image: np.ndarray, filters: np.ndarray, maps: np.ndarray, columns: int = 8) -> Figure:
    """An image, a sample of Gabor filters, and the same cells' responses to the image.

    Args:
        image: ``[H, W, 3]``, values 0..1.
        filters: ``[N, K, K]``, one plane per cell; each is scaled by its own largest magnitude.
        maps: ``[N, H', W']``, responses of the same cells; scaled by the largest of all.
        columns: tiles in a row.

    Returns:
        A figure of three panels.

    Raises:
        ValueError: ``filters`` and ``maps`` are of different cells.
    """
    if len(filters) != len(maps):
        raise ValueError(f"{len(filters)} filters and {len(maps)} maps: must be the same cells")
    figure = Figure(figsize=(11, 4.3), layout="constrained")
    panels = figure.subplots(1, 3)
    panels[0].imshow(image)
    panels[0].set_title("image")
    scale = np.abs(filters).max(axis=(1, 2), keepdims=True)
    panels[1].imshow(
        tile(filters / np.maximum(scale, 1e-12), columns), cmap="RdBu_r", vmin=-1, vmax=1
    )
    panels[1].set_title("V1: Gabor filters (blue < 0 < red,\neach of its own scale)")
    panels[2].imshow(tile(maps / max(maps.max(), 1e-12), columns), cmap="gray", vmin=0, vmax=1)
    panels[2].set_title("V1: responses (black: 0,\nwhite: the largest of all)")
    for axes in panels:
        axes.set_axis_off()
    return figure

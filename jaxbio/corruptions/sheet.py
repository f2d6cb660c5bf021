"""The picture sheet: one image under corruptions and severities."""

from collections.abc import Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

from jaxbio.corruptions.compiled import corrupt
from jaxbio.corruptions.names import check_name, check_severity, corruption_names


def picture_sheet(
    image: np.ndarray,
    names: Sequence[str] = corruption_names("all"),
    severities: Sequence[int] = (1, 3, 5),
    seed: int = 0,
) -> Figure:
    """A figure of one image under corruptions.

    With one severity the corruptions fill a grid of five columns that begins with the clean image;
    with several, every corruption is a row that begins with it.

    Args:
        image: ``[H, W, 3]`` or ``[H, W]`` uint8, or floating in [0, 1]; at least 32 px.
        names: corruptions, as in ``corruption_names``.
        severities: 1 to 5.
        seed: of the random corruptions.

    Returns:
        A Matplotlib figure, to be saved with ``savefig``.

    Raises:
        ValueError: no or unknown corruptions or severities, or an unfit image.
    """
    if not names or not severities:
        raise ValueError(f"names={list(names)}, severities={list(severities)}: give at least one")
    for name in names:
        check_name(name)
    for severity in severities:
        check_severity(severity)
    key = jax.random.key(seed)
    results = {(n, s): np.asarray(corrupt(image, n, s, key)) for n in names for s in severities}
    if len(severities) == 1:
        cells = [("clean", image), *((n, results[n, severities[0]]) for n in names)]
        columns = min(5, len(cells))
    else:
        cells = []
        for name in names:
            cells.append((name, image))
            cells += [(f"severity {s}", results[name, s]) for s in severities]
        columns = 1 + len(severities)
    rows = -(-len(cells) // columns)
    height, width = image.shape[:2]
    figure = Figure((2.0 * columns, (2.0 * height / width + 0.25) * rows), layout="constrained")
    if len(severities) == 1:
        figure.suptitle(f"severity {severities[0]}", fontsize=10)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis in axes:
        axis.axis("off")
    limit = 255 if image.dtype == np.uint8 else 1.0
    for axis, (title, picture) in zip(axes, cells, strict=False):
        axis.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=limit)
        axis.set_title(title.replace("_", " "), fontsize=8)
    return figure

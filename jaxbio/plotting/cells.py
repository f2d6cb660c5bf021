"""Numbers in the cells of a heat map; tiles."""

from typing import cast

import numpy as np
from matplotlib.image import AxesImage

GAP = 1  # pixels between tiles


def label_cells(
    picture: AxesImage, form: str = ".0f", deviations: np.ndarray | None = None
) -> None:
    """Writes every value into its cell, in black or white: whichever has more contrast.

    Args:
        picture: from ``axes.imshow``; masked and non-finite values get no text.
        form: format specification of the numbers.
        deviations: of the shape of the values, written below them; NaN where there is none.
    """
    values = np.ma.filled(cast(np.ndarray, picture.get_array()), np.nan)
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        text = f"{value:{form}}"
        if deviations is not None and np.isfinite(deviations[row, column]):
            text += f"\n± {deviations[row, column]:{form}}"
        # Relative luminance of sRGB (nearly); at .18 black and white have equal contrast.
        luminance = np.dot(np.power(picture.to_rgba(value)[:3], 2.2), (0.2126, 0.7152, 0.0722))
        picture.axes.text(
            column, row, text, ha="center", va="center", fontsize=8,
            color="black" if luminance > 0.18 else "white",
        )  # fmt: skip


def tile(planes: np.ndarray, columns: int) -> np.ndarray:
    """One sheet of planes ``[N, H, W]``, row by row, with NaN between them."""
    n, height, width = planes.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + GAP), columns * (width + GAP)), np.nan)
    for i, plane in enumerate(planes):
        top, left = (i // columns) * (height + GAP), (i % columns) * (width + GAP)
        sheet[top : top + height, left : left + width] = plane
    return sheet[:-GAP, :-GAP]

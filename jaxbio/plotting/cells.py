"""Numbers in the cells of a heat map."""

from typing import cast

import numpy as np
from matplotlib.image import AxesImage


def label_cells(picture: AxesImage, form: str = ".0f") -> None:
    """Writes every value into its cell, black on bright colours and white on dark ones.

    Args:
        picture: from ``axes.imshow``; masked and non-finite values get no text.
        form: format specification of the numbers.
    """
    values = np.ma.filled(cast(np.ndarray, picture.get_array()), np.nan)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            brightness = np.dot(picture.to_rgba(value)[:3], (0.299, 0.587, 0.114))
            picture.axes.text(
                column,
                row,
                f"{value:{form}}",
                ha="center",
                va="center",
                fontsize=8,
                color="black" if brightness > 0.5 else "white",
            )

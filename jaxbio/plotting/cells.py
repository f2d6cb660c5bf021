"""Numbers in the cells of a heat map."""

from typing import cast

import numpy as np
from matplotlib.image import AxesImage


def label_cells(picture: AxesImage, form: str = ".0f") -> None:
    """Writes every value of ``axes.imshow`` into its cell, black on bright colours and white on
    dark ones.

    Masked and non-finite values get no text.
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

"""Figures to files and to bytes."""

import io
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from jaxbio.errors import InputError
from jaxbio.files import atomic

_DPI = 150


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure atomically, making its folder: a viewer never sees half a picture.

    Args:
        figure: any.
        path: its suffix decides the format.

    Raises:
        InputError: a suffix that is none of a picture.
    """
    formats = FigureCanvasBase.filetypes
    if path.suffix.removeprefix(".").lower() not in formats:
        raise InputError(f"{path}: use a name that ends in .{', .'.join(sorted(formats))}")
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def png_bytes(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()

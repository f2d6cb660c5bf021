"""Figures to files and to bytes."""

import io
import os
from pathlib import Path

from matplotlib.figure import Figure

_DPI = 150


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure atomically, making its folder: a viewer never sees half a picture.

    Args:
      figure: any.
      path: its suffix decides the format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(temporary, dpi=_DPI)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def png_bytes(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()

"""Picture files as people have them: found, and decoded, in one way wherever they are read."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif",
)  # fmt: skip
MAX_PIXELS = 100_000_000  # a small file may unfold into any number: 16,000 squared take 0.8 GB
_MAX_SIDE = 65_535  # JPEG's own; each row of a decoded picture costs memory even if it is one pixel

_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_ORIENTATION = 0x0112  # of EXIF
# Others are not tried: of PostScript Pillow would have the program run.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "AVIF")

# The limit above is an error; Pillow's, a little lower, would be a warning on the way to it.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def open_picture(
    source: str | Path | bytes,
    *,
    upright: bool = True,
    background: int | None = None,
    name: str = "",
) -> Image.Image:
    """Decodes a picture.

    Of an animation the first frame counts, palettes are looked up, 16-bit grey values cut to their
    high byte.

    Args:
        source: a file, or its contents.
        upright: whether to turn a photograph as its EXIF orientation says.
        background: grey level that shows through transparent pixels; None drops transparency.
        name: what messages call the picture; the path by default.

    Returns:
        Grey levels (mode L) or colours (mode RGB), 8 bits a channel.

    Raises:
        InputError: there is no such file, it is no picture, is damaged, has values of unknown range
            or more than ``MAX_PIXELS``, or 65,535 on a side.
    """
    name = name or ("the picture" if isinstance(source, bytes) else str(source))
    with _opened(source, name) as image:
        if image.mode in ("I", "F") and not (image.mode == "I" and image.format == "PNG"):
            raise InputError(f"{name} has pixels of mode {image.mode}: save it with 8 bits")
        if upright:
            ImageOps.exif_transpose(image, in_place=True)
        return _converted(image, background)


def is_turned(path: str | Path) -> bool:
    """Whether the camera was turned, by EXIF; decodes nothing.

    Raises:
        InputError: there is no such file, it is no picture, or has more than ``MAX_PIXELS``.
    """
    with _opened(path, str(path)) as image:
        return image.getexif().get(_ORIENTATION, 1) != 1


def find_pictures(folder: str | Path) -> tuple[list[str], list[str]]:
    """The pictures in a folder and those below it, sorted, and the files that are left out.

    Files count by their suffix (``SUFFIXES``, any case), those without one by their first bytes.
    A link that leads nowhere is a (bad) picture if its name is one; a folder that is its own
    ancestor by a link is left out. Hidden files and folders are neither.
    """
    pictures: list[str] = []
    left_out: list[str] = []
    _search(str(folder), (os.path.realpath(folder),), pictures, left_out)
    return sorted(pictures), sorted(left_out)


def _search(
    folder: str, ancestors: tuple[str, ...], pictures: list[str], left_out: list[str]
) -> None:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".")]
    for name in names:
        path = os.path.join(folder, name)
        if not os.path.isdir(path):
            (pictures if _is_picture(name, path) else left_out).append(path)
        elif (real := os.path.realpath(path)) in ancestors:
            left_out.append(path)
        else:
            _search(path, (*ancestors, real), pictures, left_out)


def _is_picture(name: str, path: str) -> bool:
    suffix = os.path.splitext(name)[1].lower()
    if suffix:
        return suffix in SUFFIXES
    try:
        check_regular(path)
        with open(path, "rb") as file:
            start = file.read(16)
    except (OSError, InputError):
        return False
    webp = start.startswith(b"RIFF") and start[8:12] == b"WEBP"
    return webp or start[4:12] == b"ftypavif" or start.startswith(_BEGINNINGS)


@contextlib.contextmanager
def _opened(source: str | Path | bytes, name: str) -> Iterator[Image.Image]:
    """A picture of bearable size; whatever is wrong with it is an ``InputError`` of one line."""
    try:
        if not isinstance(source, bytes):
            check_regular(source)
        stream = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(stream, formats=_FORMATS) as image:
            _check_size(image, name)
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise InputError(f"{name}: more pixels than the {MAX_PIXELS:,} that are read") from error
    except Exception as error:  # whatever damaged bytes lead to
        reason = getattr(error, "strerror", None) or "it is damaged or no picture"
        raise InputError(
            f"{name} cannot be read ({reason}): give a PNG, JPEG or the like"
        ) from error


def _check_size(image: Image.Image, name: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{name} has {width} x {height} pixels, at most {MAX_PIXELS:,} are read: make it "
            "smaller"
        )
    if max(width, height) > _MAX_SIDE:
        raise InputError(
            f"{name} has {width} x {height} pixels, at most {_MAX_SIDE:,} a side are read: cut it"
        )


def _converted(image: Image.Image, background: int | None) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow's own conversion clips, which makes pictures white
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    grey = image.mode in ("1", "L", "LA", "La")
    transparent = "A" in image.getbands() or "transparency" in image.info
    if transparent and background is not None:
        above = image if image.mode == "RGBA" else image.convert("RGBA")
        image = Image.new("RGB", image.size, (background,) * 3)
        image.paste(above, (0, 0), above)
    return image.convert("L" if grey else "RGB")

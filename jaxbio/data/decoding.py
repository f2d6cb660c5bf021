"""Encoded images to uint8 RGB in a tensorflow graph, by content, whole or a window only.

Every function raises ``tf.errors.InvalidArgumentError`` (when the graph runs) for a broken image.
"""

from collections.abc import Callable

import numpy as np

from jaxbio.data.tensorflow_cpu import tf
from jaxbio.errors import InputError
from jaxbio.files.pictures import MAX_PIXELS, open_picture

# The default of tf, "INTEGER_FAST", is off by up to 6 of 255 from what PIL and PyTorch decode.
_DCT = "INTEGER_ACCURATE"
# Colour is upsampled from 2x2 blocks with one neighbour each side: a window decoded with this
# margin, then cut, has exactly the pixels of the whole image.
_MARGIN = 4

Window = tuple["tf.Tensor", "tf.Tensor", "tf.Tensor", "tf.Tensor"]


def decode(contents: "tf.Tensor", upright: bool = False) -> "tf.Tensor":
    """Decodes any picture that :func:`jaxbio.files.pictures.open_picture` takes.

    Grey images are repeated to three channels, palettes looked up, CMYK converted, an alpha channel
    dropped, 16-bit values cut to their high byte; of an animation the first frame counts.

    Args:
        contents: scalar string.
        upright: whether to turn photographs as their EXIF orientation says; slower.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    if upright:
        return _by_pillow(contents, True)
    image = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.decode_jpeg(_bounded_jpeg(contents)[0], channels=3, dct_method=_DCT),
        lambda: _decode_other(contents),
    )
    return tf.ensure_shape(image, (None, None, 3))


def decode_window(
    contents: "tf.Tensor",
    choose: Callable[["tf.Tensor", "tf.Tensor"], Window],
    upright: bool = False,
) -> "tf.Tensor":
    """Decodes an image and cuts a window out of it, bit for bit what ``decode`` has there.

    Of a JPEG only the window is decoded, which is faster.

    Args:
        contents: scalar string.
        choose: function of the image's (height, width) that returns the window's
            (top, left, height, width), all int32 scalars.
        upright: see :func:`decode`.

    Returns:
        uint8 ``[height, width, 3]``.
    """

    def whole() -> "tf.Tensor":
        image = decode(contents, upright)
        top, left, height, width = choose(tf.shape(image)[0], tf.shape(image)[1])
        return image[top : top + height, left : left + width]

    def jpeg() -> "tf.Tensor":
        _, shape = _bounded_jpeg(contents)
        top, left, height, width = choose(shape[0], shape[1])
        first_row, first_column = tf.maximum(top - _MARGIN, 0), tf.maximum(left - _MARGIN, 0)
        end_row = tf.minimum(top + height + _MARGIN, shape[0])
        end_column = tf.minimum(left + width + _MARGIN, shape[1])
        box = [first_row, first_column, end_row - first_row, end_column - first_column]
        part = tf.io.decode_and_crop_jpeg(contents, box, channels=3, dct_method=_DCT)
        top, left = top - first_row, left - first_column
        return part[top : top + height, left : left + width]

    if upright:
        return tf.ensure_shape(whole(), (None, None, 3))
    # A window of a truncated file may decode; without its end marker the file is decoded whole,
    # which fails. So whether a file is bad does not depend on the window.
    image = tf.cond(_is_complete_jpeg(contents), jpeg, whole)
    return tf.ensure_shape(image, (None, None, 3))


def _is_complete_jpeg(contents: "tf.Tensor") -> "tf.Tensor":
    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.equal(tf.strings.substr(contents, -2, 2), b"\xff\xd9"),
        lambda: tf.constant(False),
    )


def _decode_other(contents: "tf.Tensor") -> "tf.Tensor":
    # tf refuses WebP with transparency or several frames, takes palette numbers of a BMP for grey
    # and does not know TIFF: of all but PNG and GIF Pillow is the judge.
    is_png = tf.equal(tf.strings.substr(contents, 0, 4), b"\x89PNG")
    is_gif = tf.equal(tf.strings.substr(contents, 0, 4), b"GIF8")
    return tf.cond(
        tf.logical_or(is_png, is_gif),
        lambda: tf.io.decode_image(_bounded(contents, is_png), channels=3, expand_animations=False),
        lambda: _by_pillow(contents, False),
    )


def _bounded_jpeg(contents: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
    """The contents and their shape, if they are no more than ``MAX_PIXELS``."""
    shape = tf.io.extract_jpeg_shape(contents)
    with tf.control_dependencies([_few(shape[0], shape[1])]):
        return tf.identity(contents), tf.identity(shape)


def _bounded(contents: "tf.Tensor", is_png: "tf.Tensor") -> "tf.Tensor":
    """The same for PNG and GIF, which say their sizes at the beginning."""

    def png() -> "tf.Tensor":
        size = tf.strings.substr(contents, 16, 8)
        return tf.cast(tf.io.decode_raw(size, tf.int32, little_endian=False), tf.int64)

    def gif() -> "tf.Tensor":
        return tf.cast(tf.io.decode_raw(tf.strings.substr(contents, 6, 4), tf.uint16), tf.int64)

    size = tf.cond(is_png, png, gif)
    with tf.control_dependencies([_few(size[0], size[1])]):
        return tf.identity(contents)


def _few(height: "tf.Tensor", width: "tf.Tensor") -> "tf.Operation":
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    message = f"more than {MAX_PIXELS:,} pixels"
    if tf.executing_eagerly() and pixels > MAX_PIXELS:  # people read this one
        raise InputError(message)
    return tf.debugging.Assert(pixels <= MAX_PIXELS, [message])


def _by_pillow(contents: "tf.Tensor", upright: bool) -> "tf.Tensor":
    def pixels(data: bytes | np.ndarray) -> np.ndarray:
        data = data if isinstance(data, bytes) else data.item()  # outside of graphs: an array
        return np.asarray(open_picture(data, upright=upright).convert("RGB"))

    image = tf.numpy_function(pixels, [contents], tf.uint8, stateful=False)
    return tf.ensure_shape(image, (None, None, 3))

"""Encoded images to uint8 RGB in a tensorflow graph, by content, whole or a window only.

Every function raises ``tf.errors.InvalidArgumentError`` (when the graph runs) for a broken image.
"""

from collections.abc import Callable

import numpy as np

from jaxbio.data.tensorflow_cpu import tf

# The default of tf, "INTEGER_FAST", is off by up to 6 of 255 from what PIL and PyTorch decode.
_DCT = "INTEGER_ACCURATE"
# Colour is upsampled from 2x2 blocks with one neighbour each side: a window decoded with this
# margin, then cut, has exactly the pixels of the whole image.
_MARGIN = 4

Window = tuple["tf.Tensor", "tf.Tensor", "tf.Tensor", "tf.Tensor"]


def decode(contents: "tf.Tensor") -> "tf.Tensor":
    """Decodes JPEG, PNG, BMP, GIF (first frame) or WebP.

    Grey images are repeated to three channels, palettes looked up, CMYK converted, an alpha channel
    dropped, 16-bit values cut to their high byte. EXIF orientation is ignored.

    Args:
        contents: scalar string.

    Returns:
        uint8 ``[H, W, 3]``.
    """
    image = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.decode_jpeg(contents, channels=3, dct_method=_DCT),
        lambda: _decode_other(contents),
    )
    return tf.ensure_shape(image, (None, None, 3))


def decode_window(
    contents: "tf.Tensor", choose: Callable[["tf.Tensor", "tf.Tensor"], Window]
) -> "tf.Tensor":
    """Decodes an image and cuts a window out of it, bit for bit what ``decode`` has there.

    Of a JPEG only the window is decoded, which is faster.

    Args:
        contents: scalar string.
        choose: function of the image's (height, width) that returns the window's
            (top, left, height, width), all int32 scalars.

    Returns:
        uint8 ``[height, width, 3]``.
    """

    def whole() -> "tf.Tensor":
        image = decode(contents)
        top, left, height, width = choose(tf.shape(image)[0], tf.shape(image)[1])
        return image[top : top + height, left : left + width]

    def jpeg() -> "tf.Tensor":
        shape = tf.io.extract_jpeg_shape(contents)
        top, left, height, width = choose(shape[0], shape[1])
        first_row, first_column = tf.maximum(top - _MARGIN, 0), tf.maximum(left - _MARGIN, 0)
        end_row = tf.minimum(top + height + _MARGIN, shape[0])
        end_column = tf.minimum(left + width + _MARGIN, shape[1])
        box = [first_row, first_column, end_row - first_row, end_column - first_column]
        part = tf.io.decode_and_crop_jpeg(contents, box, channels=3, dct_method=_DCT)
        top, left = top - first_row, left - first_column
        return part[top : top + height, left : left + width]

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
    is_bmp = tf.logical_and(
        tf.strings.length(contents) >= 54,
        tf.equal(tf.strings.substr(contents, 0, 2), b"BM"),
    )
    checked = tf.cond(is_bmp, lambda: _checked_bmp(contents), lambda: contents)
    return tf.io.decode_image(checked, channels=3, expand_animations=False)


def _checked_bmp(contents: "tf.Tensor") -> "tf.Tensor":
    """The BMP, refused if it has colours in a palette: tf would take their numbers for grey."""

    def number(offset: int, size: int, dtype: "tf.DType") -> "tf.Tensor":
        return tf.io.decode_raw(tf.strings.substr(contents, offset, size), dtype)[0]

    bits = number(28, 2, tf.uint16)
    palette_at = 14 + number(14, 4, tf.int32)
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1)
    grey[:, 3] = 0
    good = tf.logical_or(
        bits >= 24,
        tf.logical_and(
            tf.equal(bits, 8),
            tf.equal(tf.strings.substr(contents, palette_at, 1024), grey.tobytes()),
        ),
    )
    with tf.control_dependencies(
        [tf.debugging.Assert(good, ["BMP with a colour palette: convert it to PNG"])]
    ):
        return tf.identity(contents)

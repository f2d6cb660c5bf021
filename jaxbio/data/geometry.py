"""Resizing, cropping and augmentation in a tensorflow graph.

Bilinear, half-pixel centres, antialiased when shrinking: what PyTorch does with PIL images.
Randomness comes in as uniform numbers, so that the caller decides what it is keyed by.
"""

import math

from jaxbio.data.tensorflow_cpu import tf
from jaxbio.data.windows import RATIO, TRIES


def resize(images: "tf.Tensor", size: int) -> "tf.Tensor":
    """Resizes to squares, whatever the aspect ratio.

    Args:
        images: ``[B, H, W, C]`` of values 0..255.
        size: new side in pixels.

    Returns:
        float32 ``[B, size, size, C]``, not rounded.
    """
    images = tf.cast(images, tf.float32)
    shape = tf.shape(images)
    # Antialiasing changes nothing when enlarging, and takes twice as long.
    return tf.cond(
        tf.logical_or(shape[1] > size, shape[2] > size),
        lambda: tf.image.resize(images, (size, size), antialias=True),
        lambda: tf.image.resize(images, (size, size)),
    )


def resize_and_centre_crop(images: "tf.Tensor", resize_side: int, size: int) -> "tf.Tensor":
    """Resizes the shorter side, keeps the aspect ratio, cuts out the central square.

    Args:
        images: ``[B, H, W, C]`` of values 0..255.
        resize_side: new length of the shorter side in pixels; 0: plain :func:`resize`.
        size: side of the square in pixels, at most ``resize_side``.

    Returns:
        float32 ``[B, size, size, C]``, not rounded.
    """
    if not resize_side:
        return resize(images, size)
    images = tf.cast(images, tf.float32)
    sides = tf.shape(images)[1:3]
    resized = sides * resize_side // tf.reduce_min(sides)
    # As torchvision: round half to even.
    corner = tf.round(tf.cast(resized - size, tf.float32) / 2)
    # One step computes only what the crop keeps.
    return tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=[size, size],
        scale=tf.cast(resized, tf.float32) / tf.cast(sides, tf.float32),
        translation=-corner,
        kernel_type="triangle",
        antialias=True,
    )


def to_uint8(images: "tf.Tensor") -> "tf.Tensor":
    """Rounds to the nearest integer; bilinear means of 0..255 stay in that range."""
    return tf.cast(tf.round(images), tf.uint8)


def random_window(
    draws: "tf.Tensor", height: "tf.Tensor", width: "tf.Tensor", scale: tuple[float, float]
) -> tuple["tf.Tensor", "tf.Tensor", "tf.Tensor", "tf.Tensor"]:
    """Windows of a random resized crop, as torchvision chooses them.

    Area uniform in ``scale``, log aspect ratio uniform in log 3/4..log 4/3, place uniform; the
    first of ten tries that fits, else the largest central window within the ratios.

    Args:
        draws: uniform numbers in [0, 1), ``[B, windows.WINDOW_DRAWS]``.
        height: of the image in pixels, int32 scalar.
        width: likewise.
        scale: smallest and largest area, as shares of the image.

    Returns:
        ``(top, left, height, width)`` in pixels, int32 ``[B]`` each.
    """
    draws = tf.reshape(draws, [-1, TRIES, 4])
    h, w = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    area = h * w * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    low, high = (math.log(ratio) for ratio in RATIO)
    ratio = tf.exp(low + (high - low) * draws[..., 1])
    try_w, try_h = tf.round(tf.sqrt(area * ratio)), tf.round(tf.sqrt(area / ratio))
    fits = (try_w >= 1) & (try_w <= w) & (try_h >= 1) & (try_h <= h)
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)
    any_fits = tf.reduce_any(fits, axis=1)

    largest_h = tf.minimum(h, tf.maximum(1.0, tf.round(w / RATIO[0])))
    largest_w = tf.minimum(w, tf.maximum(1.0, tf.round(h * RATIO[1])))

    def chosen(tries: "tf.Tensor", otherwise: "tf.Tensor") -> "tf.Tensor":
        return tf.where(any_fits, tf.gather(tries, first, axis=1, batch_dims=1), otherwise)

    window_h, window_w = chosen(try_h, largest_h), chosen(try_w, largest_w)
    top = chosen(tf.floor(draws[..., 2] * (h - try_h + 1)), tf.floor((h - largest_h) / 2))
    left = chosen(tf.floor(draws[..., 3] * (w - try_w + 1)), tf.floor((w - largest_w) / 2))
    top, left = tf.minimum(top, h - window_h), tf.minimum(left, w - window_w)
    return tuple(tf.cast(x, tf.int32) for x in (top, left, window_h, window_w))


def shift_zoom(
    images: "tf.Tensor", draws: "tf.Tensor", max_shift: float, max_zoom: float
) -> "tf.Tensor":
    """Small random translations and zooms about the centre; what comes in from outside is black.

    Args:
        images: float32 ``[B, S, S, C]``.
        draws: uniform numbers, ``[B, 3]``.
        max_shift: largest translation each way, as a share of S.
        max_zoom: the zoom factor is uniform in 1 - max_zoom..1 + max_zoom.

    Returns:
        float32 ``[B, S, S, C]``, not rounded.
    """
    size = tf.cast(tf.shape(images)[1], tf.float32)
    draws = 2 * draws - 1
    step = 1 / (1 + max_zoom * draws[:, 0])
    centre = (size - 1) / 2
    start_y = centre - step * (centre + max_shift * size * draws[:, 1])
    start_x = centre - step * (centre + max_shift * size * draws[:, 2])
    zero = tf.zeros_like(step)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([step, zero, start_x, zero, step, start_y, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )

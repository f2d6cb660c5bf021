"""Random crops and shifts of squares in memory, as positions to sample at.

Float32, operation by operation as TensorFlow's kernels had it in earlier versions of jaxbio, so
that a run that began with them goes on with the same pixels. :mod:`jaxbio.data.geometry` has the
windows of encoded images.
"""

import math
from typing import NamedTuple

import numpy as np

from jaxbio.data.settings import Settings

TRIES = 10
WINDOW_DRAWS = 4 * TRIES  # uniform numbers that a random window uses
RATIO = (3 / 4, 4 / 3)
_ONE = np.float32(1)

# Uniform numbers that each augmentation uses per image.
DRAWS = {"none": 0, "crop_flip": WINDOW_DRAWS + 1, "shift": 3}


class Samples(NamedTuple):
    """Where an axis is sampled, for linear interpolation.

    Attributes:
        low: int32 ``[B, S]``, the pixel before each position.
        high: int32 ``[B, S]``, the one after it.
        low_weight: float32 ``[B, S]``, of the pixel before; 0 where that lies outside.
        high_weight: float32 ``[B, S]``.
    """

    low: np.ndarray
    high: np.ndarray
    low_weight: np.ndarray
    high_weight: np.ndarray


def sample_positions(
    settings: Settings, draws: np.ndarray, side: int
) -> tuple[Samples, Samples] | None:
    """Rows and columns at which the configured augmentation samples; None: the image stays.

    Args:
        settings: which augmentation, and how strong.
        draws: uniform numbers, float32 ``[B, DRAWS[settings.augmentation]]``.
        side: of the images, pixels.
    """
    if settings.augmentation == "crop_flip":
        return _crop_flip(draws, side, settings.crop_scale, settings.flip)
    if settings.augmentation == "shift":
        return _shift_zoom(draws, side, settings.max_shift, settings.max_zoom)
    return None


def random_windows(
    draws: np.ndarray, side: int, scale: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Windows of torchvision's random resized crop; see :mod:`jaxbio.data.geometry`.

    Returns:
        ``(top, left, height, width)`` in pixels, float32 ``[B]`` each.
    """
    draws = draws.reshape(-1, TRIES, 4)
    size = np.float32(side)
    share = np.float32(scale[0]) + np.float32(scale[1] - scale[0]) * draws[..., 0]
    area = size * size * share
    low, high = (math.log(ratio) for ratio in RATIO)
    ratio = _exp(np.float32(low) + np.float32(high - low) * draws[..., 1])
    widths, heights = np.rint(np.sqrt(area * ratio)), np.rint(np.sqrt(area / ratio))
    fits = (widths >= 1) & (widths <= size) & (heights >= 1) & (heights <= size)
    first, any_fits, row = fits.argmax(axis=1), fits.any(axis=1), np.arange(len(draws))

    def chosen(tries: np.ndarray, otherwise: float) -> np.ndarray:
        return np.where(any_fits, tries[row, first], np.float32(otherwise))

    height, width = chosen(heights, side), chosen(widths, side)
    top = chosen(np.floor(draws[..., 2] * (size - heights + _ONE)), 0)
    left = chosen(np.floor(draws[..., 3] * (size - widths + _ONE)), 0)
    return np.minimum(top, size - height), np.minimum(left, size - width), height, width


def _crop_flip(
    draws: np.ndarray, side: int, scale: tuple[float, float], flip: bool
) -> tuple[Samples, Samples]:
    size, half = np.float32(side), np.float32(0.5)
    top, left, height, width = random_windows(draws[:, :WINDOW_DRAWS], side, scale)
    zoom_y, zoom_x = height / size, width / size
    # Half-pixel centres: x_in + 0.5 = left + zoom * (x_out + 0.5).
    start_y = top + zoom_y / np.float32(2) - half
    start_x = left + zoom_x / np.float32(2) - half
    if flip:
        mirrored = draws[:, WINDOW_DRAWS] < half
        start_x = np.where(mirrored, start_x + zoom_x * (size - _ONE), start_x)
        zoom_x = np.where(mirrored, -zoom_x, zoom_x)
    # The edge goes on outside.
    return tuple(  # type: ignore[return-value]
        _samples(np.clip(_positions(zoom, start, side), 0, size - _ONE), side)
        for zoom, start in ((zoom_y, start_y), (zoom_x, start_x))
    )


def _shift_zoom(
    draws: np.ndarray, side: int, max_shift: float, max_zoom: float
) -> tuple[Samples, Samples]:
    size = np.float32(side)
    draws = np.float32(2) * draws - _ONE
    step = _ONE / (_ONE + np.float32(max_zoom) * draws[:, 0])
    centre = (size - _ONE) / np.float32(2)
    starts = (
        centre - step * (centre + np.float32(max_shift) * size * draws[:, axis]) for axis in (1, 2)
    )
    return tuple(_samples(_positions(step, start, side), side) for start in starts)  # type: ignore[return-value]


def _positions(step: np.ndarray, start: np.ndarray, side: int) -> np.ndarray:
    return step[:, None] * np.arange(side, dtype=np.float32) + start[:, None]


def _samples(at: np.ndarray, side: int) -> Samples:
    """Neighbours and weights of positions ``[B, S]``; what lies outside counts nothing."""
    low = np.floor(at)
    high = low + _ONE
    outside = [(x < 0) | (x > side - 1) for x in (low, high)]
    pixels = [np.clip(x, 0, side - 1).astype(np.int32) for x in (low, high)]
    weights = [
        np.where(o, np.float32(0), w) for o, w in zip(outside, (high - at, at - low), strict=True)
    ]
    return Samples(*pixels, *weights)


def _exp(x: np.ndarray) -> np.ndarray:
    """Exp of small float32 numbers by Eigen's polynomial, whose bits no platform changes."""
    square = x * x
    even = square * np.float32(1.37449637986719608306884765625e-3)
    even = even + np.float32(4.166965186595916748046875e-2)
    odd = square * np.float32(8.36894474923610687255859375e-3)
    odd = odd + np.float32(0.16666518151760101318359375)
    even = square * even + np.float32(0.49999988079071044921875)
    return square * (x * odd + even) + (x + _ONE)

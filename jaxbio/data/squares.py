"""Resizing and sampling of images in memory: NumPy, what :mod:`jaxbio.data.geometry` does in tf."""

import numpy as np

from jaxbio.data.settings import Settings
from jaxbio.data.windows import Samples

_HALF = np.float32(0.5)
_ONE = np.float32(1)


def resized(images: np.ndarray, settings: Settings, one_size: bool) -> np.ndarray:
    """Evaluation's resize and crop: ``[B, H, W, C]`` to float32 ``[B, S, S, C]``, not rounded."""
    side, shorter = settings.image_size, settings.resize_side(one_size)
    height, width = images.shape[1:3]
    sizes: tuple[int, ...]
    corner: tuple[float, ...]
    if not shorter:
        if (height, width) == (side, side):
            return images.astype(np.float32)
        if height <= side and width <= side:
            return _enlarged(images.astype(np.float32), side)
        sizes, corner = (side, side), (0.0, 0.0)
    else:
        sizes = tuple(n * shorter // min(height, width) for n in (height, width))
        corner = tuple(float(np.rint(np.float32(n - side) / np.float32(2))) for n in sizes)
    rows, columns = (
        _triangle(old, np.float32(new) / np.float32(old), np.float32(-start), side)
        for old, new, start in zip((height, width), sizes, corner, strict=True)
    )
    return np.einsum(
        "yh,bhwc,xw->byxc", rows, images.astype(np.float32), columns, optimize=True
    ).astype(np.float32)


def sampled(images: np.ndarray, rows: Samples, columns: Samples) -> np.ndarray:
    """Images at the positions of :func:`jaxbio.data.windows.sample_positions`.

    Args:
        images: float32 ``[B, S, S, C]``.
        rows: ``[B, S]``.
        columns: ``[B, S]``.

    Returns:
        float32 ``[B, S, S, C]``, not rounded.
    """
    low, high = np.empty_like(images), np.empty_like(images)
    for i, image in enumerate(images):
        np.take(image, columns.low[i], axis=1, out=low[i], mode="clip")
        np.take(image, columns.high[i], axis=1, out=high[i], mode="clip")
    low *= columns.low_weight[:, None, :, None]
    high *= columns.high_weight[:, None, :, None]
    low += high
    across, high = low, high
    out = np.empty_like(images)
    for i, image in enumerate(across):
        np.take(image, rows.low[i], axis=0, out=out[i], mode="clip")
        np.take(image, rows.high[i], axis=0, out=high[i], mode="clip")
    out *= rows.low_weight[:, :, None, None]
    high *= rows.high_weight[:, :, None, None]
    out += high
    return out


def rgb(images: np.ndarray) -> np.ndarray:
    """Rounded uint8 images with three channels; grey ones are repeated."""
    if images.dtype != np.uint8:
        images = np.rint(images).astype(np.uint8)
    return images if images.shape[-1] == 3 else np.repeat(images, 3, axis=-1)


def linear_positions(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours of the pixels of an enlarged axis, and the weight of the second one.

    Returns:
        int32 ``[new]``, int32 ``[new]``, float32 ``[new]``.
    """
    scale = np.float32(old) / np.float32(new)
    at = (np.arange(new, dtype=np.float32) + _HALF) * scale - _HALF
    below = np.floor(at)
    low = np.maximum(below, 0).astype(np.int32)
    high = np.minimum(below + _ONE, old - 1).astype(np.int32)
    return low, high, at - below


def _enlarged(images: np.ndarray, side: int) -> np.ndarray:
    for axis in (2, 1):
        low, high, weight = linear_positions(images.shape[axis], side)
        first, second = np.take(images, low, axis), np.take(images, high, axis)
        second -= first
        second *= weight.reshape([-1 if i == axis else 1 for i in range(4)])
        first += second
        images = first
    return images


def _triangle(old: int, scale: np.float32, translation: np.float32, new: int) -> np.ndarray:
    """Weights ``[new, old]`` of antialiased linear resizing, float32."""
    back = _ONE / scale
    at = (np.arange(new, dtype=np.float32) + _HALF) * back - back * translation
    distance = (np.arange(old, dtype=np.float32) + _HALF)[None] - at[:, None]
    weights = np.maximum(_ONE - np.abs(distance / np.maximum(back, _ONE)), np.float32(0))
    weights[(at < 0) | (at > old)] = 0
    return weights / np.maximum(weights.sum(1, keepdims=True), np.float32(1e-30))

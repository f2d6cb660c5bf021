"""Separable linear operators as matrices: Gaussian filters and centred zooms."""

import functools
import math
from collections.abc import Iterator
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

# Reduced precision (TF32, bfloat16 passes) would be wrong by whole grey levels.
PRECISION = lax.Precision.HIGHEST
_BLOCK = 64


Border = Literal["edge", "symmetric"]


@functools.cache
def gaussian_matrix(n: int, sigma: float, truncate: float, mode: Border) -> np.ndarray:
    """Gaussian filter along an axis of ``n`` samples, borders included, as ``[n, n]`` float32.

    Args:
        n: length.
        sigma: standard deviation in samples.
        truncate: the kernel is cut at ``truncate * sigma``.
        mode: ``edge`` repeats the border sample, ``symmetric`` mirrors including it.
    """
    radius = int(truncate * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    source = np.pad(np.arange(n), radius, mode=mode)
    matrix = np.zeros((n, n))
    for tap, weight in enumerate(weights):
        np.add.at(matrix, (np.arange(n), source[tap : tap + n]), weight)
    return matrix.astype(np.float32)


def zoom_taps(n: int, factor: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Linear interpolation that enlarges the centre of ``n`` samples by ``factor``.

    The crop has ``ceil(n / factor)`` samples; its ends map to the ends of the enlarged signal,
    which has ``n`` samples or a few more.

    Returns:
        Left sample, right sample and weight of the right one, per enlarged sample.
    """
    crop = math.ceil(n / factor)
    start = (n - crop) // 2
    enlarged = round(crop * factor)
    position = np.arange(enlarged) * ((crop - 1) / (enlarged - 1))
    left = np.minimum(np.floor(position).astype(int), crop - 1)
    right = np.minimum(left + 1, crop - 1)
    return start + left, start + right, (position - left).astype(np.float32)


@functools.cache
def zoom_matrix(n: int, factor: float) -> np.ndarray:
    """``zoom_taps`` as an ``[enlarged, n]`` float32 matrix."""
    left, right, weight = zoom_taps(n, factor)
    here = np.arange(len(left))
    matrix = np.zeros((len(left), n), np.float32)
    np.add.at(matrix, (here, left), 1 - weight)
    np.add.at(matrix, (here, right), weight)
    return matrix


def apply_rows(matrix: np.ndarray, x: Array) -> Array:
    """``matrix`` along the rows' axis of ``[B, H, W, C]``; banded matrices in blocks."""
    flat = x.reshape(*x.shape[:2], -1)
    parts = []
    for block, low, high in _blocks(matrix):
        parts.append(jnp.matmul(block, flat[:, low:high], precision=PRECISION))
    return jnp.concatenate(parts, 1).reshape(x.shape[0], -1, *x.shape[2:])


def apply_columns(matrix: np.ndarray, x: Array) -> Array:
    """``matrix`` along the columns' axis of ``[B, H, W, C]``; banded matrices in blocks."""
    parts = []
    for block, low, high in _blocks(matrix):
        parts.append(jnp.einsum("bhwc,vw->bhvc", x[:, :, low:high], block, precision=PRECISION))
    return jnp.concatenate(parts, 2)


def separable(rows: np.ndarray, columns: np.ndarray, x: Array) -> Array:
    """``rows`` along the rows' axis, then ``columns`` along the columns' axis."""
    return apply_columns(columns, apply_rows(rows, x))


def gaussian_filter(x: Array, sigma: float) -> Array:
    """Gaussian filter of both axes of ``[B, H, W, C]``, cut at 4 sigma; border pixels repeat."""
    rows, columns = (gaussian_matrix(n, sigma, 4.0, "edge") for n in x.shape[1:3])
    return separable(rows, columns, x)


def _blocks(matrix: np.ndarray) -> Iterator[tuple[np.ndarray, int, int]]:
    """Splits a matrix by rows and drops the zero columns on both sides of each part."""
    for start in range(0, len(matrix), _BLOCK):
        block = matrix[start : start + _BLOCK]
        used = np.flatnonzero(block.any(0))
        low, high = int(used[0]), int(used[-1]) + 1
        yield block[:, low:high], low, high

"""Blurs: gaussian_blur, defocus_blur, glass_blur, motion_blur, zoom_blur."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxbio.corruptions import fields
from jaxbio.corruptions.linear import PRECISION, gaussian_filter, zoom_taps

GAUSSIAN_SIGMA = (1, 2, 3, 4, 6)
DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # disk radius, sigma of its edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # sigma, distance, passes
MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius, sigma
ZOOM = ((0.01, 12), (0.01, 16), (0.02, 11), (0.02, 13), (0.03, 11))  # step, number of factors


def gaussian_blur(x: Array, severity: int) -> Array:
    """Gaussian filter; border pixels repeat."""
    return gaussian_filter(x, GAUSSIAN_SIGMA[severity - 1])


@functools.cache
def defocus_kernel(radius: int, sigma: float) -> np.ndarray:
    """A disk whose edge is smoothed by a 3x3 (above radius 8: 5x5) Gaussian, ``[k, k]`` float32."""
    reach, width = (8, 3) if radius <= 8 else (radius, 5)
    axis = np.arange(-reach, reach + 1)
    disk = (axis[:, None] ** 2 + axis[None] ** 2 <= radius**2).astype(np.float64)
    disk /= disk.sum()
    taps = np.exp(-0.5 * (np.arange(-(width // 2), width // 2 + 1) / sigma) ** 2)
    taps /= taps.sum()
    # Smoothing with the grid mirrored at its ends keeps what would leave it.
    for _ in range(2):
        padded = np.pad(disk, ((width // 2,) * 2, (0, 0)), mode="reflect")
        disk = sum(t * padded[i : i + len(axis)] for i, t in enumerate(taps)).T
    used = np.flatnonzero(disk.sum(0) > 1e-12)
    return disk[used[0] : used[-1] + 1, used[0] : used[-1] + 1].astype(np.float32)


def convolve(x: Array, kernel: np.ndarray) -> Array:
    """Every channel of ``[B, H, W, C]`` with one symmetric kernel; borders mirror (reflect-101).

    A single-channel convolution wastes a CPU's vector units. The image is cut into 4 x 4 blocks
    that become 16 channels, and the kernel into 16 x 16 matrices between neighbouring blocks.
    """
    s = 4
    batch, height, width, channels = x.shape
    radius = len(kernel) // 2
    reach = -(-radius // s)  # in blocks
    nh, nw = -(-height // s), -(-width // s)
    margin = reach * s
    pads = ((0, 0), (margin, margin + nh * s - height), (margin, margin + nw * s - width), (0, 0))
    blocks = jnp.pad(x, pads, mode="reflect")
    blocks = blocks.reshape(batch, nh + 2 * reach, s, nw + 2 * reach, s, channels)
    blocks = blocks.transpose(0, 5, 1, 3, 2, 4).reshape(-1, *blocks.shape[1:4:2], s * s)
    # offset[b, p, u]: kernel tap between pixel p of the b-th block and pixel u of the middle one.
    taps = 2 * reach + 1
    offset = (np.arange(taps * s) - margin + radius).reshape(taps, s, 1) - np.arange(s)
    inside = (offset >= 0) & (offset < len(kernel))
    rows, columns = (np.expand_dims(np.clip(offset, 0, len(kernel) - 1), axes)
                     for axes in ((1, 3, 5), (0, 2, 4)))  # fmt: skip
    both = np.expand_dims(inside, (1, 3, 5)) & np.expand_dims(inside, (0, 2, 4))
    dense = (kernel[rows, columns] * both).reshape(taps, taps, s * s, s * s)
    out = lax.conv_general_dilated(
        blocks,
        jnp.asarray(dense),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=PRECISION,
    )
    out = out.reshape(batch, channels, nh, nw, s, s).transpose(0, 2, 4, 3, 5, 1)
    return out.reshape(batch, nh * s, nw * s, channels)[:, :height, :width]


def defocus_blur(x: Array, severity: int) -> Array:
    """Convolution with a disk."""
    return convolve(x, defocus_kernel(*DEFOCUS[severity - 1]))


def draw_glass_blur(words: Array, x: Array, severity: int) -> Array:
    """Offsets (column, row) in ``[-d, d - 1]``: ``[B, passes, H - 2d, W - 2d, 2]`` int32.

    They are in the order of the scan: the first belongs to row H - d, column W - d.
    """
    _, distance, passes = GLASS[severity - 1]
    shape = (passes, x.shape[1] - 2 * distance, x.shape[2] - 2 * distance, 2)
    return fields.integers(words, 0, shape, -distance, distance)


def _glass_pass(offsets: Array, distance: int, height: int, width: int) -> Array:
    """Where each pixel's colour comes from after one scan, ``[H W]`` flat indices.

    The scan goes backwards in raster order and copies in place, so a source later in raster order
    has already been replaced. Sources of sources form a forest; doubling the pointers finds every
    root in about log2(longest chain) gathers instead of H W steps.
    """
    size = height * width
    # Rows run from H - d down to d + 1, columns likewise.
    grid = jnp.pad(offsets[::-1, ::-1], ((distance + 1, distance - 1),) * 2 + ((0, 0),))
    here = jnp.arange(size).reshape(height, width)
    source = (here + grid[..., 1] * width + grid[..., 0]).reshape(-1)
    row, column = source // width, source % width
    scanned = (row > distance) & (row <= height - distance)
    scanned &= (column > distance) & (column <= width - distance)
    here = here.reshape(-1)
    jump = jnp.where(scanned & (source > here), source, here)

    def double(state: tuple[Array, Any]) -> tuple[Array, Any]:
        jump, _ = state
        further = jump.at[jump].get(mode="promise_in_bounds")
        return further, jnp.any(further != jump)

    jump, _ = lax.while_loop(lambda state: state[1], double, (jump, True))
    return source.at[jump].get(mode="promise_in_bounds")


def glass_blur(x: Array, severity: int, field: Array) -> Array:
    """Gaussian filter, to 8 bit, local displacement of pixels by a scan, Gaussian filter."""
    sigma, distance, passes = GLASS[severity - 1]
    _, height, width, _ = x.shape
    blurred = jnp.floor(gaussian_filter(x, sigma) + 2.0**-13).astype(jnp.uint8)

    def one(image: Array, offsets: Array) -> Array:
        index = jnp.arange(height * width)
        for i in range(passes):
            index = index[_glass_pass(offsets[i], distance, height, width)]
        return image.reshape(height * width, -1)[index].reshape(image.shape)

    moved = jax.vmap(one)(blurred, field).astype(jnp.float32)
    return gaussian_filter(moved, sigma)


def draw_motion_blur(words: Array, x: Array, severity: int) -> Array:
    """Direction in degrees, ``[B]``."""
    return fields.uniform(words, 0, ()) * 90.0 - 45.0


def motion_blur(x: Array, severity: int, field: Array) -> Array:
    """Mean along a line with the weights of half a Gaussian; border pixels repeat."""
    return directional_blur(x, *MOTION[severity - 1], field)


def directional_blur(x: Array, radius: int, sigma: float, angle: Array) -> Array:
    """Weighted sum of 2 radius + 1 shifts by whole pixels along ``angle``.

    Args:
        x: ``[B, H, W, C]``.
        radius: half the number of shifts.
        sigma: of the half-Gaussian weights, in pixels.
        angle: degrees, ``[B]``.
    """
    _, height, width, channels = x.shape
    # A shift by the image's size or more ends the sum; what is left out stays out.
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2.0 * sigma**2))
    weights = (weights / weights.sum()).astype(np.float32)
    pad = 2 * radius
    padded = jnp.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
    padded = padded.reshape(*padded.shape[:2], -1)
    radians = angle * (math.pi / 180.0)
    along = jnp.asarray(steps, jnp.float32)[None]
    dx = jnp.ceil(along * jnp.cos(radians)[:, None] - 0.5).astype(jnp.int32)
    dy = jnp.ceil(along * jnp.sin(radians)[:, None] - 0.5).astype(jnp.int32)
    inside = (jnp.abs(dx) < width) & (jnp.abs(dy) < height)
    strength = jnp.where(jnp.cumprod(inside, 1) > 0, weights[None], 0.0)

    def one(args: tuple[Array, Array, Array, Array]) -> Array:
        image, dx, dy, strength = args
        out = jnp.zeros((height, width * channels))
        for i in range(len(steps)):
            start = (pad + dy[i], (pad + dx[i]) * channels)
            out += strength[i] * lax.dynamic_slice(image, start, out.shape)
        return out

    return lax.map(one, (padded, dx, dy, strength)).reshape(x.shape)


def zoom_blur(x: Array, severity: int) -> Array:
    """Mean of the image and of its centre enlarged by increasing factors."""
    _, height, width, _ = x.shape
    step, number = ZOOM[severity - 1]

    def taps(n: int) -> tuple[Array, ...]:
        each = [zoom_taps(n, 1 + step * i) for i in range(number)]
        left, right, weight = zip(*each, strict=True)
        return tuple(jnp.asarray(np.stack([t[:n] for t in k])) for k in (left, right, weight))

    def add(total: Array, both: tuple) -> tuple[Array, None]:
        (top, bottom, wy), (left, right, wx) = both
        wy, wx = wy.reshape(1, -1, 1, 1), wx.reshape(1, 1, -1, 1)
        wide = x[:, :, left] * (1 - wx) + x[:, :, right] * wx
        return total + wide[:, top] * (1 - wy) + wide[:, bottom] * wy, None

    total, _ = lax.scan(add, x, (taps(height), taps(width)))
    return total / (number + 1)

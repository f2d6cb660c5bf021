"""brightness, saturate, contrast, pixelate, elastic_transform."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbio.corruptions import fields
from jaxbio.corruptions.linear import apply_columns, apply_rows, gaussian_matrix, separable

BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
SATURATE = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))  # saturation * a + b
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
# Displacement in units of 1 / 80 of the image's height; spread and reach relative to the size.
ELASTIC = (0.05, 0.065, 0.085, 0.1, 0.12)
# ImageNet-C's: gain, sigma, and reach of the affine map's corners, pixels (for images of 224).
_ELASTIC_C = (
    (488.0, 170.8, 24.4),
    (488.0, 19.52, 48.8),
    (12.2, 2.44, 4.88),
    (17.08, 2.44, 4.88),
    (29.28, 2.44, 4.88),
)
_ELASTIC_GAIN, _ELASTIC_RANGE, _ELASTIC_SIGMA = 250.0, 0.005, 0.01


def brightness(x: Array, severity: int) -> Array:
    """HSV value raised by a constant: hue and saturation stay, so channels scale alike."""
    value = x.max(-1, keepdims=True)
    raised = jnp.minimum(value + 255.0 * BRIGHTNESS[severity - 1], 255.0)
    # Black has no saturation: it becomes grey.
    return jnp.where(value > 0, x * (raised / jnp.where(value > 0, value, 1.0)), raised)


def saturate(x: Array, severity: int) -> Array:
    """HSV saturation scaled and shifted; grey has hue 0 and therefore turns reddish at 4 and 5."""
    scale, shift = SATURATE[severity - 1]
    value = x.max(-1, keepdims=True)
    range_ = value - x.min(-1, keepdims=True)
    saturation = range_ / jnp.where(value > 0, value, 1.0)
    changed = jnp.clip(saturation * scale + shift, 0.0, 1.0)
    # (value - x) / range is 0 for the largest channel and 1 for the smallest, whatever the hue.
    red = jnp.asarray([0.0, 1.0, 1.0]).reshape(1, 1, 1, 3)
    depth = jnp.where(range_ > 0, (value - x) / jnp.where(range_ > 0, range_, 1.0), red)
    return value * (1.0 - changed * depth)


def contrast(x: Array, severity: int) -> Array:
    """Each channel drawn towards its mean over the image."""
    mean = x.mean((1, 2), keepdims=True)
    return (x - mean) * CONTRAST[severity - 1] + mean


def _box_matrix(n: int, out: int) -> np.ndarray:
    """Pillow's box reduction of ``n`` samples to ``out``, ``[out, n]`` float32."""
    scale = n / out
    centre = (np.arange(out)[:, None] + 0.5) * scale
    sample = np.arange(n)
    offset = (sample - centre + 0.5) / scale
    used = (sample >= (centre - 0.5 * scale + 0.5).astype(int)) & (offset > -0.5) & (offset <= 0.5)
    return (used / used.sum(1, keepdims=True)).astype(np.float32)


def pixelate(x: Array, severity: int) -> Array:
    """Box reduction to a fraction of the size, then enlarged by repeating pixels."""
    _, height, width, _ = x.shape
    factor = PIXELATE[severity - 1]
    rows, columns = int(height * factor), int(width * factor)
    # Rounded to grey levels after each axis, columns first, like Pillow's. Matrix products, unlike
    # sums of slices, are not computed anew for every enlarged pixel.
    half = 0.5 + 2.0**-13
    small = jnp.floor(apply_columns(_box_matrix(width, columns), x) + half)
    small = jnp.floor(apply_rows(_box_matrix(height, rows), small) + half)
    # Pillow adds up the step, which decides where a position falls exactly between two pixels.
    back = [
        np.cumsum([0.5 * m / n, *[m / n] * (n - 1)]).astype(int)
        for n, m in ((height, rows), (width, columns))
    ]
    return small[:, back[0]][:, :, back[1]]


def draw_elastic_transform(words: Array, x: Array, severity: int) -> tuple[Array, Array]:
    """Uniform fields in +-0.005 of the height: columns' and rows' displacement, ``[B, H, W]``."""
    reach = _ELASTIC_RANGE * x.shape[1]
    dx, dy = (fields.uniform(words, stream, x.shape[1:3]) for stream in (0, 1))
    return (2 * dx - 1) * reach, (2 * dy - 1) * reach


def elastic_transform(x: Array, severity: int, field: tuple[Array, Array]) -> Array:
    """Bilinear sampling at positions displaced by smoothed random fields; borders mirror."""
    _, height, width, _ = x.shape
    gain = _ELASTIC_GAIN * ELASTIC[severity - 1]
    rows, columns = (
        gaussian_matrix(n, _ELASTIC_SIGMA * n, 3.0, "symmetric") for n in (height, width)
    )
    smooth = separable(rows, columns, jnp.stack(field, -1))
    row, column = _grid(height, width)
    return _sample(x, row + gain * smooth[..., 1], column + gain * smooth[..., 0])


def draw_elastic_transform_c(
    words: Array, x: Array, severity: int
) -> tuple[Array, tuple[Array, Array]]:
    """As :func:`elastic_transform_c` takes it: corners ``[B, 3, 2]``, and two fields ``[B, H, W]``.

    Uniform: the corners' displacement in pixels, the fields in +-1.
    """
    reach = _ELASTIC_C[severity - 1][2]
    dx, dy = (2 * fields.uniform(words, stream, x.shape[1:3]) - 1 for stream in (0, 1))
    return (2 * fields.uniform(words, 2, (3, 2)) - 1) * reach, (dx, dy)


def elastic_transform_c(x: Array, severity: int, field: tuple[Array, tuple[Array, Array]]) -> Array:
    """ImageNet-C's elastic_transform: a random affine map, then displaced positions.

    Three corners of a centred square move; what lies outside the image is mirrored.
    """
    gain, sigma, _ = _ELASTIC_C[severity - 1]
    corners, displacement = field
    _, height, width, _ = x.shape
    side = min(height, width) // 3 * np.array([[1, 1], [1, -1], [-1, -1]])
    before = jnp.asarray(np.array([height // 2, width // 2]) + side, jnp.float32)[None]
    # Positions in the image that come to a place: the affine map from the moved corners back.
    after = jnp.pad(before + corners, ((0, 0), (0, 0), (0, 1)), constant_values=1.0)
    back = jnp.linalg.solve(after, jnp.broadcast_to(before, corners.shape))  # [B, 3, 2]
    row, column = _grid(height, width)
    place = [
        column * back[:, 0, i].reshape(-1, 1, 1)
        + row * back[:, 1, i].reshape(-1, 1, 1)
        + back[:, 2, i].reshape(-1, 1, 1)
        for i in (1, 0)
    ]
    x = _sample(x, *place, repeat_edge=False)  # type: ignore[misc]
    rows, columns = (gaussian_matrix(n, sigma, 3.0, "symmetric") for n in (height, width))
    smooth = gain * separable(rows, columns, jnp.stack(displacement, -1))
    return _sample(x, row + smooth[..., 1], column + smooth[..., 0])


def _grid(height: int, width: int) -> tuple[Array, Array]:
    """Rows ``[1, H, 1]`` and columns ``[1, 1, W]`` of the pixels, float32."""
    rows, columns = (jnp.arange(n, dtype=jnp.float32) for n in (height, width))
    return rows.reshape(1, -1, 1), columns.reshape(1, 1, -1)


def _sample(x: Array, row: Array, column: Array, repeat_edge: bool = True) -> Array:
    """Bilinear samples of ``[B, H, W, C]`` at positions ``[B, H, W]``.

    Borders mirror, with the border's pixels once or twice (``repeat_edge``).
    """
    _, height, width, channels = x.shape

    def mirror(index: Array, n: int) -> Array:
        last = 2 * n - 1 if repeat_edge else 2 * n - 2  # mirrored onto the first pixel
        index = jnp.mod(index, last + 1 if repeat_edge else last)
        return jnp.minimum(index, last - index)

    top, left = (jnp.floor(p).astype(jnp.int32) for p in (row, column))
    wy, wx = (row - top)[..., None], (column - left)[..., None]
    flat = x.reshape(x.shape[0], height * width, channels)

    def at(row: Array, column: Array) -> Array:
        index = mirror(row, height) * width + mirror(column, width)
        return jax.vmap(lambda image, i: image.at[i].get(mode="promise_in_bounds"))(flat, index)

    upper = at(top, left) * (1 - wx) + at(top, left + 1) * wx
    lower = at(top + 1, left) * (1 - wx) + at(top + 1, left + 1) * wx
    return upper * (1 - wy) + lower * wy

"""snow, frost and fog."""

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxbio.corruptions import fields
from jaxbio.corruptions.blur import directional_blur
from jaxbio.corruptions.frost_textures import ENLARGE, PHOTOGRAPHS, textures
from jaxbio.corruptions.linear import PRECISION, separable, zoom_matrix

# Mean and spread of the flakes' field, zoom, threshold, motion's radius and sigma, mix.
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
FROST = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weights of image, texture
FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))  # strength, decay of the roughness


def draw_snow(words: Array, x: Array, severity: int) -> tuple[Array, Array]:
    """The flakes' normal field ``[B, H, W]`` and the direction of fall in degrees ``[B]``."""
    mean, spread, *_ = SNOW[severity - 1]
    field = mean + spread * fields.normal(words, 0, x.shape[1:3])
    return field, fields.uniform(words, 1, ()) * 90.0 - 135.0


def snow(x: Array, severity: int, field: tuple[Array, Array]) -> Array:
    """Flakes from an enlarged noise field, blurred along the fall, over a whitened image."""
    _, _, zoom, threshold, radius, sigma, mix = SNOW[severity - 1]
    flakes, angle = field
    _, height, width, _ = x.shape
    rows, columns = zoom_matrix(height, zoom), zoom_matrix(width, zoom)
    flakes = separable(rows, columns, flakes[..., None])
    flakes = jnp.clip(jnp.where(flakes < threshold, 0.0, flakes), 0.0, 1.0)
    flakes = directional_blur(flakes, radius, sigma, angle)[:, :height, :width]
    flakes = jnp.round(flakes * 255.0)
    grey = jnp.matmul(x, jnp.asarray([0.299, 0.587, 0.114]), precision=PRECISION)[..., None]
    x = mix * x + (1 - mix) * jnp.maximum(x, grey * 1.5 + 127.5)
    return x + flakes + flakes[:, ::-1, ::-1]


def draw_frost(words: Array, x: Array, severity: int, enlarge: float = ENLARGE) -> Array:
    """A random crop of a random texture, ``[B, H, W, 3]`` float32 in 0..255."""
    _, height, width, _ = x.shape
    canvas, tops, heights, widths = (jnp.asarray(a) for a in textures(height, width, enlarge))
    pick = fields.integers(words, 0, (), 0, len(PHOTOGRAPHS))
    u = fields.uniform(words, 1, (2,))
    row = jnp.floor(u[:, 0] * (heights[pick] - height)).astype(jnp.int32) + tops[pick]
    column = jnp.floor(u[:, 1] * (widths[pick] - width)).astype(jnp.int32)
    size = (height, width, 3)
    crop = jax.vmap(lambda r, c: lax.dynamic_slice(canvas, (r, c, 0), size))(row, column)
    return crop.astype(jnp.float32)


def frost(x: Array, severity: int, field: Array) -> Array:
    """Weighted sum of the image and an ice texture."""
    image, texture = FROST[severity - 1]
    return image * x + texture * field


def draw_fog(words: Array, x: Array, severity: int) -> Array:
    """Diamond-square map, ``[B, H, W]`` in 0..1.

    The periodic map has the next power of two of the longer side. From a coarser grid, the middles
    of squares, then those of edges, become the mean of their four neighbours plus uniform noise in
    +-w^2; w decays by a constant factor from level to level.
    """
    _, height, width, _ = x.shape
    size = 1 << (max(height, width) - 1).bit_length()
    noise = 2 * fields.uniform(words, 0, (size * size,)) - 1
    decay = FOG[severity - 1][1]
    grid = jnp.zeros((x.shape[0], 1, 1))
    amplitude, used, n = 100.0, 0, 1
    while n < size:
        three = noise[:, used : used + 3 * n * n].reshape(-1, 3, n, n) * amplitude**2
        right, down = jnp.roll(grid, -1, 2), jnp.roll(grid, -1, 1)
        centre = (grid + right + down + jnp.roll(right, -1, 1)) / 4 + three[:, 0]
        across = (grid + right + centre + jnp.roll(centre, 1, 1)) / 4 + three[:, 1]
        along = (grid + down + centre + jnp.roll(centre, 1, 2)) / 4 + three[:, 2]
        rows = [
            jnp.stack(pair, -1).reshape(-1, n, 2 * n) for pair in ((grid, across), (along, centre))
        ]
        grid = lax.optimization_barrier(jnp.stack(rows, 2).reshape(-1, 2 * n, 2 * n))
        used, n, amplitude = used + 3 * n * n, 2 * n, amplitude / decay
    grid = grid - grid.min((1, 2), keepdims=True)
    return (grid / grid.max((1, 2), keepdims=True))[:, :height, :width]


def fog(x: Array, severity: int, field: Array) -> Array:
    """A bright fractal layer is added and the sum scaled back to the image's range."""
    strength, _ = FOG[severity - 1]
    brightest = x.max((1, 2, 3), keepdims=True) / 255.0
    return (x + 255.0 * strength * field[..., None]) * (brightest / (brightest + strength))

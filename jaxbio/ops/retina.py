"""Retina and lateral geniculate nucleus: light adaptation, centre and surround, contrast gain.

Reference:
    Piper, Oliveira and Marques 2025, "Explicitly Modeling Subcortical Vision with a Neuro-Inspired
    Front-End Improves CNN Robustness", arXiv:2506.03089v1 (SubcorticalBlock). The constants are
    the authors' fit to responses of P and M cells of the macaque.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_EPSILON = 1e-5
_KERNEL_ENERGY = 0.8  # of a Gaussian that its truncated kernel keeps
FANO_FACTOR = 0.4  # variance over mean of the noise


class CellType(NamedTuple):
    """Constants of the parvo- or of the magnocellular pathway; lengths in degrees.

    Attributes:
        adaptation: exponent of light adaptation.
        centre: radius of the centre, where its Gaussian has fallen to 1/e.
        surround: likewise of the surround.
        ratio: peak sensitivity of the surround over that of the centre.
        pool: radius of the contrast pool.
        semisaturation: its constant, c50.
        exponent: of the pool.
        gain: of the output.
        colours: ``[cells, 2, 3]``, weight of red, green and blue in centre and surround.
    """

    adaptation: float
    centre: float
    surround: float
    ratio: float
    pool: float
    semisaturation: float
    exponent: float
    gain: float
    colours: tuple


_FITTED_PIXELS_PER_DEGREE = 32.0
_RED_GREEN = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
_GREEN_RED = ((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
_BLUE_YELLOW = ((0.0, 0.0, 1.0), (-0.5, -0.5, 0.0))
_WHITE_BLACK = ((1 / 3,) * 3, (-1 / 3,) * 3)

P_CELLS = CellType(
    adaptation=0.3,
    centre=1.2375 / _FITTED_PIXELS_PER_DEGREE,
    surround=7.1528 / _FITTED_PIXELS_PER_DEGREE,
    ratio=0.017388,
    pool=13.1507 / _FITTED_PIXELS_PER_DEGREE,
    semisaturation=0.0293,
    exponent=0.4681,
    gain=11.6264,
    colours=(_RED_GREEN, _GREEN_RED, _BLUE_YELLOW),
)
M_CELLS = CellType(
    adaptation=0.8689,
    centre=2.3546 / _FITTED_PIXELS_PER_DEGREE,
    surround=19.2944 / _FITTED_PIXELS_PER_DEGREE,
    ratio=0.008129,
    pool=28.1936 / _FITTED_PIXELS_PER_DEGREE,
    semisaturation=0.01,
    exponent=0.499,
    gain=5.8508,
    colours=(_WHITE_BLACK,),
)


def adapt_to_light(x: jax.Array, exponent: float) -> jax.Array:
    """Intensities relative to the picture's mean, ``x^g / (x^g + mean^g) - 1/2``.

    Args:
        x: ``[B, H, W, 3]``, 0 or more.
        exponent: g.

    Returns:
        ``[B, H, W, 3]``, -1/2..1/2; 0 at the mean.
    """
    # The floors keep the gradients of roots finite in black pictures.
    x = jnp.maximum(x, _EPSILON)
    mean = x.mean((1, 2, 3), keepdims=True)
    return x**exponent / (x**exponent + mean**exponent + _EPSILON) - 0.5


def centre_surround(x: jax.Array, cells: CellType, pixels_per_degree: float) -> jax.Array:
    """Differences of Gaussians, colour-opponent in P cells; even light is answered by 1 or -1.

    Args:
        x: ``[B, H, W, 3]``.
        cells: radii, ratio and colours.
        pixels_per_degree: of the pictures.

    Returns:
        ``[B, H, W, cells]``.
    """
    surround_size = _half_width(cells.surround * pixels_per_degree)
    colours = np.array(cells.colours)
    parts: Any
    parts, sums = 0.0, np.zeros(len(colours))
    for weights, radius, height in (
        (colours[:, 0], cells.centre, 1.0),
        (colours[:, 1], cells.surround, cells.ratio),
    ):
        blurred, volume = _blurred(x, radius * pixels_per_degree, surround_size)
        parts = parts + height * volume * blurred @ jnp.asarray(weights.T, x.dtype)
        sums += height * volume * weights.sum(1)
    return parts / jnp.asarray(np.abs(sums), x.dtype).reshape(1, 1, 1, -1)


def normalise_contrast(x: jax.Array, cells: CellType, pixels_per_degree: float) -> jax.Array:
    """Each cell over its local contrast, ``x / (rms + c50)^n``, ``[B, H, W, cells]``."""
    radius = cells.pool * pixels_per_degree
    power, _ = _blurred(jnp.square(x), radius, _half_width(radius))
    rms = jnp.sqrt(jnp.maximum(power, 1e-12))
    return x / (rms + cells.semisaturation) ** cells.exponent


def neuronal_noise(x: jax.Array, normal: jax.Array) -> jax.Array:
    """Adds noise whose variance is proportional to the magnitude of the signal."""
    return x + jnp.sqrt(FANO_FACTOR * (jnp.abs(x) + _EPSILON)) * normal


def _half_width(radius: float) -> int:
    return math.ceil(math.sqrt(-2 * math.log(1 - _KERNEL_ENERGY)) * radius / math.sqrt(2))


def _blurred(x: jax.Array, radius: float, half: int) -> tuple[jax.Array, float]:
    """Gaussian mean over space, edges mirrored, and the volume under the truncated kernel."""
    height, width = x.shape[1:3]
    rows, weight = _blur_matrix(height, radius, half)
    columns, _ = _blur_matrix(width, radius, half)
    x = jnp.einsum("hi,biwc->bhwc", jnp.asarray(rows, x.dtype), x)
    return jnp.einsum("wj,bhjc->bhwc", jnp.asarray(columns, x.dtype), x), weight**2


def _blur_matrix(size: int, radius: float, half: int) -> tuple[np.ndarray, float]:
    offset = np.arange(-half, half + 1)
    kernel = np.exp(-((offset / radius) ** 2))
    mirrored = np.pad(np.arange(size), half, mode="reflect")
    matrix = np.zeros((size, size))
    for shift, value in enumerate(kernel):
        np.add.at(matrix, (np.arange(size), mirrored[shift : shift + size]), value)
    return matrix / kernel.sum(), float(kernel.sum())

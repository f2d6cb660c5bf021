"""Pixel noise: gaussian_noise, shot_noise, impulse_noise, speckle_noise.

Images are ``[B, H, W, C]`` float32 in 0..255 here and in the other topic files; results are clipped
and truncated by the caller. ``draw_*`` gives the random field, which the corruption takes as an
argument, so that the arithmetic can be tested apart from the randomness.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbio.corruptions import fields
from jaxbio.ops.alias import alias_columns

GAUSSIAN_STD = (0.08, 0.12, 0.18, 0.26, 0.38)
SHOT_PHOTONS = (60, 25, 12, 5, 3)
IMPULSE_FRACTION = (0.03, 0.06, 0.09, 0.17, 0.27)
SPECKLE_STD = (0.15, 0.2, 0.35, 0.45, 0.6)


def draw_gaussian_noise(words: Array, x: Array, severity: int) -> Array:
    """Normal field with the severity's standard deviation, relative to white."""
    return GAUSSIAN_STD[severity - 1] * fields.normal(words, 0, x.shape[1:])


def gaussian_noise(x: Array, severity: int, field: Array) -> Array:
    """``x + n``, n normal."""
    return x + 255.0 * field


def draw_speckle_noise(words: Array, x: Array, severity: int) -> Array:
    """Normal field with the severity's standard deviation, relative to the pixel."""
    return SPECKLE_STD[severity - 1] * fields.normal(words, 0, x.shape[1:])


def speckle_noise(x: Array, severity: int, field: Array) -> Array:
    """``x + x n``, n normal."""
    return x + x * field


def draw_impulse_noise(words: Array, x: Array, severity: int) -> Array:
    """-1 where a value becomes 0, 1 where it becomes white, 0 elsewhere."""
    u = fields.uniform(words, 0, x.shape[1:])
    half = IMPULSE_FRACTION[severity - 1] / 2
    return jnp.where(u < half, -1, jnp.where(u > 1 - half, 1, 0))


def impulse_noise(x: Array, severity: int, field: Array) -> Array:
    """Single channel values replaced by 0 or white."""
    return jnp.where(field == 0, x, jnp.where(field > 0, 255.0, 0.0))


@functools.cache
def _poisson_alias_table(photons: int) -> np.ndarray:
    """Walker's alias tables of Poisson(level * photons / 255) for the 256 grey levels.

    ``[256, 128]`` uint32: the alias in the top 8 bits, the threshold in the other 24, whose
    quantisation changes no probability by more than 2**-31.
    """
    from scipy.stats import poisson  # takes half a second, which not every run needs

    n = 128  # counts above 127 have probability below 1e-13 at 60 photons
    table = np.zeros((256, n), np.uint32)
    for level in range(256):
        share = poisson.pmf(np.arange(n), level * photons / 255.0)
        share, alias = alias_columns(share / share.sum())
        threshold = np.minimum(np.round(share * 2**24), 2**24 - 1).astype(np.uint32)
        table[level] = alias.astype(np.uint32) << 24 | threshold
    return table


def draw_shot_noise(words: Array, x: Array, severity: int) -> Array:
    """Poisson photon counts with mean ``x / 255 * photons``, int32.

    The whole grey level is drawn from a table and, for images that are not whole grey levels, the
    remainder (a mean below 0.24 photons) by inversion: sums of Poisson numbers are Poisson.
    """
    photons = SHOT_PHOTONS[severity - 1]
    whole = jnp.floor(x)
    word = fields.bits(words, 0, x.shape[1:])
    column, fraction = word >> 25, (word & 0x1FFFFFF) >> 1
    index = whole.astype(jnp.int32) * 128 + column.astype(jnp.int32)
    table = jnp.asarray(_poisson_alias_table(photons).ravel())
    entry = table.at[index].get(mode="promise_in_bounds")
    counts = jnp.where(fraction < (entry & 0xFFFFFF), column, entry >> 24).astype(jnp.int32)

    mean = (x - whole) * (photons / 255.0)
    u = fields.uniform(words, 1, x.shape[1:])
    term = cumulative = jnp.exp(-mean)
    for k in range(1, 6):
        counts += u > cumulative
        term = term * mean / k
        cumulative = cumulative + term
    return counts


def shot_noise(x: Array, severity: int, field: Array) -> Array:
    """Photon counts over the photons of white."""
    return field * (255.0 / SHOT_PHOTONS[severity - 1])

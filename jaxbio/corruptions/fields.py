"""Random fields from per-image words: a counter-based generator a CPU can afford.

JAX's threefry costs about 20 ns per number on a CPU core, as much as whole corruptions. Threefry is
used to derive a few words per image; the pixels are hashes of (pixel number, words), which is
deterministic, parallel, and the same on every device and for every batch.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array, lax

N_STREAMS = 4


def image_words(keys: Array, tag: int) -> Array:
    """Words that seed the fields of each image: ``[B]`` typed keys to ``[B, N_STREAMS, 2]``."""

    def one(key: Array) -> Array:
        return jax.random.bits(jax.random.fold_in(key, tag), (N_STREAMS, 2), jnp.uint32)

    return jax.vmap(one)(keys)


def _mix(x: Array) -> Array:
    """A bijection of 32-bit words without measurable bias (Ellis' "triple32")."""
    x = (x ^ (x >> 17)) * jnp.uint32(0xED5AD4BB)
    x = (x ^ (x >> 11)) * jnp.uint32(0xAC4C1B51)
    x = (x ^ (x >> 15)) * jnp.uint32(0x31848BAB)
    return x ^ (x >> 14)


def bits(words: Array, stream: int, shape: tuple[int, ...]) -> Array:
    """Uniform 32-bit words ``[B, *shape]`` of one of the ``N_STREAMS`` independent streams."""
    counter = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(1, *shape)
    first, second = (words[:, stream, i].reshape(-1, *[1] * len(shape)) for i in (0, 1))
    return _mix(_mix(counter ^ first) ^ second)


def uniform(words: Array, stream: int, shape: tuple[int, ...]) -> Array:
    """Uniform numbers strictly between 0 and 1, ``[B, *shape]`` float32."""
    # 23 bits, so that the half step added for symmetry is not rounded away next to 1.
    return (bits(words, stream, shape) >> 9).astype(jnp.float32) * 2.0**-23 + 2.0**-24


def normal(words: Array, stream: int, shape: tuple[int, ...]) -> Array:
    """Standard normal numbers, ``[B, *shape]`` float32 (cut at 5.3 standard deviations)."""
    return math.sqrt(2.0) * lax.erf_inv(2.0 * uniform(words, stream, shape) - 1.0)


def integers(words: Array, stream: int, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Integers from ``low`` to ``high - 1``, ``[B, *shape]`` int32; for ranges below 2**16."""
    # Multiply-shift of the top 16 bits: bias below (high - low) / 2**16.
    top = bits(words, stream, shape) >> 16
    return ((top * jnp.uint32(high - low)) >> 16).astype(jnp.int32) + low

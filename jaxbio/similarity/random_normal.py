"""Standard normal numbers, several times faster than ``jax.random.normal`` on CPUs.

SIT needs twenty million of them, which took most of its time. Here a counter is hashed with the
key, each half of the 32 bits picks one of 65,536 equally probable quantiles, and that is the
number: no rejection, no transcendental function. The quantiles are scaled to unit variance; the
fourth moment is 2.9992 instead of 3 and nothing lies beyond 4.3 standard deviations. Meant for
noise that is averaged over thousands of features.

Reference:
    The hash is "lowbias32" of Chris Wellons' hash prospector, applied twice.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

_LEVELS = 1 << 16


def normal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Standard normal numbers of 65,536 levels.

    Args:
        key: random key of JAX's default kind.
        shape: shape of the result.
        dtype: floating-point type of the result.

    Returns:
        The numbers; the same for the same key.
    """
    words = jax.random.key_data(key).reshape(-1)
    size = int(np.prod(shape))
    counter = lax.iota(jnp.uint32, -(-size // 2)) * np.uint32(0x9E3779B9)
    bits = _mix(_mix(counter + words[0]) ^ words[-1])
    halves = jnp.concatenate([bits >> 16, bits & np.uint32(0xFFFF)])[:size].astype(jnp.int32)
    table = jnp.asarray(_quantiles()).astype(dtype)
    return table.at[halves].get(mode="promise_in_bounds").reshape(shape)


def _mix(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)


@functools.cache
def _quantiles() -> np.ndarray:
    from scipy.special import ndtri  # a slow import that only SIT needs

    values = ndtri((np.arange(_LEVELS) + 0.5) / _LEVELS)
    return values / np.sqrt(np.mean(values**2))

"""Images as networks take them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


def normalise(images: jax.Array, mean: Sequence[float], std: Sequence[float]) -> jax.Array:
    """uint8 images 0..255 to float32, ``(x / 255 - mean) / std`` per channel."""
    mean, std = (jnp.asarray(v, jnp.float32).reshape(1, 1, 1, -1) for v in (mean, std))
    return (images.astype(jnp.float32) / 255.0 - mean) / std

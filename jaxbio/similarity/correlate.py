"""Correlations of columns."""

import jax
import jax.numpy as jnp


def pearson_columns(a: jax.Array, b: jax.Array) -> jax.Array:
    """Pearson's r of matching columns: ``[..., n, q]`` and ``[..., n, q]`` to ``[..., q]``."""
    a = a - a.mean(-2, keepdims=True)
    b = b - b.mean(-2, keepdims=True)
    scale = jnp.sqrt(jnp.square(a).sum(-2) * jnp.square(b).sum(-2))
    return (a * b).sum(-2) / scale

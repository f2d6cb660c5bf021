"""Ranks with ties averaged, also of weighted samples; correlations of columns.

Resampling conditions gives pair ``p`` of an RDM a multiplicity ``w_p``. Its rank in the resampled
vector is the number of entries below it, plus half the number of those equal to it, plus one half.
Both numbers are sums of weights along the sorted vector; so the order is found once, and no
bootstrap sample is ever sorted.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Order(NamedTuple):
    """The sorted order of vectors ``[..., P]``.

    Attributes:
        sorted: positions of the entries in ascending order, ``[..., P]``.
        below: how many entries are smaller than each, ``[..., P]``.
        upto: how many entries are smaller than or equal to each, ``[..., P]``.
    """

    sorted: jax.Array
    below: jax.Array
    upto: jax.Array


def order(x: jax.Array) -> Order:
    """Sorts vectors ``[..., P]`` along the last axis."""
    position = lax.broadcasted_iota(jnp.int32, x.shape, x.ndim - 1)
    values, found = lax.sort((x, position), num_keys=1)

    # A binary search: sums and maxima along the sorted vector compile twice as long.
    def search(values: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        below, upto = (jnp.searchsorted(values, x, side=side) for side in ("left", "right"))
        return below.astype(jnp.int32), upto.astype(jnp.int32)

    for _ in range(x.ndim - 1):
        search = jax.vmap(search)
    return Order(found, *search(values, x))


def ranks(x: jax.Array) -> jax.Array:
    """Ranks from 1 along the last axis; equal values share the mean of their ranks."""
    _, below, upto = order(x)
    return ((below + upto + 1) / 2).astype(x.dtype)


def weighted_ranks(by: Order, weights: jax.Array) -> jax.Array:
    """Ranks of the entries of one vector in samples that hold entry p ``weights[p]`` times.

    Args:
        by: the order of the vector, P entries.
        weights: multiplicities ``[P, samples]``; the samples stand side by side in memory.

    Returns:
        Ranks ``[P, samples]``; those of entries of weight 0 have no meaning.
    """
    total = _cumulative(weights[by.sorted])
    total = jnp.concatenate([jnp.zeros_like(total[:1]), total])
    return (total[by.below] + total[by.upto] + 1) / 2


def _cumulative(x: jax.Array) -> jax.Array:
    """Cumulative sums along the first axis of ``[P, samples]``, as two matrix products.

    XLA's own cumulative sum makes log2(P) passes over the memory on CPUs.
    """
    n, samples = x.shape
    side = max(1, round(n**0.5))
    blocks = -(-n // side)
    x = jnp.pad(x, ((0, blocks * side - n), (0, 0))).reshape(blocks, side, samples)
    within = jnp.einsum("ij,bjs->bis", jnp.tri(side, dtype=x.dtype), x)
    before = jnp.einsum("ab,bs->as", jnp.tri(blocks, k=-1, dtype=x.dtype), within[:, -1])
    return (within + before[:, None]).reshape(blocks * side, samples)[:n]


def pearson_columns(a: jax.Array, b: jax.Array) -> jax.Array:
    """Pearson's r of matching columns: ``[..., n, q]`` and ``[..., n, q]`` to ``[..., q]``."""
    a = a - a.mean(-2, keepdims=True)
    b = b - b.mean(-2, keepdims=True)
    scale = jnp.sqrt(jnp.square(a).sum(-2) * jnp.square(b).sum(-2))
    return (a * b).sum(-2) / scale

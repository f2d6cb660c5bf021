"""Kendall's tau of all pairs of vectors, as matrix products of sign matrices.

The entries ``(p, q)`` of a vector's sign matrix say which of two entries is larger. tau's
numerator is the inner product of two sign matrices; they are made a block of rows at a time. That
is O(P^2) work per vector, 18 million entries for 92 conditions, but in the form that processors
are fastest at. In weighted samples (bootstrap) it is a quadratic form of the weights; 1,000 samples
cost a thousand times one comparison, where Spearman's rho costs next to nothing: prefer rho-a,
which orders models as tau-a does (Schutt et al. 2023).
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.similarity import checks

_ROWS = 256


@checks.compiled(static=("variant",))
def tau(a: jax.Array, b: jax.Array, variant: str) -> jax.Array:
    """Kendall's tau of every row of ``a`` with every row of ``b``.

    tau-a divides the surplus of concordant pairs by the number of all pairs; tau-b by the geometric
    mean of the numbers of pairs that are not tied in ``a`` and in ``b``.

    Args:
        a: vectors ``[M, P]``.
        b: vectors ``[N, P]``.
        variant: "tau-a" or "tau-b".

    Returns:
        tau ``[M, N]``.
    """
    n = a.shape[-1]

    def block(start):
        signs_a, signs_b = (_sign_rows(x, start) for x in (a, b))
        surplus = jnp.einsum("mkp,nkp->mn", signs_a, signs_b)
        return surplus, jnp.abs(signs_a).sum((1, 2)), jnp.abs(signs_b).sum((1, 2))

    surplus, untied_a, untied_b = (
        x.sum(0) for x in lax.map(block, jnp.arange(0, n, _ROWS, dtype=jnp.int32))
    )
    if variant == "tau-a":
        return surplus / (n * (n - 1.0))
    return surplus / jnp.sqrt(untied_a[:, None] * untied_b[None])


@checks.compiled(static=("variant",))
def weighted_tau(a: jax.Array, b: jax.Array, weights: jax.Array, variant: str) -> jax.Array:
    """Kendall's tau in samples that hold entry p ``weights[s, p]`` times.

    Args:
        a: vectors ``[M, P]``.
        b: vectors ``[N, P]``.
        weights: multiplicities ``[samples, P]``.
        variant: "tau-a" or "tau-b".

    Returns:
        tau ``[samples, M, N]``.
    """
    starts = jnp.arange(0, a.shape[-1], _ROWS, dtype=jnp.int32)

    def form(x, y):  # sum over p, q of w_p w_q sign(x_p - x_q) sign(y_p - y_q)
        def block(start):
            signs = _sign_rows(x[None], start)[0] * _sign_rows(y[None], start)[0]
            rows = _rows(weights, start)
            return (rows * (weights @ signs.T)).sum(1)

        return lax.map(block, starts).sum(0)

    surplus = lax.map(lambda x: lax.map(lambda y: form(x, y), b), a)
    surplus = jnp.moveaxis(surplus, -1, 0)
    if variant == "tau-a":
        n = weights.sum(1)
        return surplus / (n * (n - 1))[:, None, None]
    untied_a, untied_b = (lax.map(lambda v: form(v, v), x).T for x in (a, b))
    return surplus / jnp.sqrt(untied_a[:, :, None] * untied_b[:, None])


def _rows(x: jax.Array, start: jax.Array) -> jax.Array:
    """Columns ``start`` to ``start + _ROWS`` of ``[M, P]``; zeros beyond the end."""
    spare = -x.shape[-1] % _ROWS
    return lax.dynamic_slice_in_dim(jnp.pad(x, ((0, 0), (0, spare))), start, _ROWS, 1)


def _sign_rows(x: jax.Array, start: jax.Array) -> jax.Array:
    """Rows of the sign matrices of ``[M, P]``: ``[M, _ROWS, P]``; zeros beyond the end."""
    inside = start + jnp.arange(_ROWS, dtype=jnp.int32) < x.shape[-1]
    signs = jnp.sign(_rows(x, start)[:, :, None] - x[:, None, :])
    return signs * inside[None, :, None].astype(x.dtype)

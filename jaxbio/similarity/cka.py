"""Centred kernel alignment with linear kernels.

Reference:
    Kornblith et al. 2019, "Similarity of neural network representations revisited", ICML; unbiased
    estimator: Song et al. 2012, "Feature selection via dependence maximization", JMLR 13.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.gram import gram


def cka(
    x: Any,
    y: Any,
    *,
    unbiased: bool = True,
    subsets: Any = None,
    names: tuple[str, str] = ("x", "y"),
) -> jax.Array:
    """Linear CKA of two representations: ``HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y))``.

    The biased estimator is the cosine of the two centred Gram matrices; it is high for any two wide
    representations of few stimuli. The unbiased one is 0 on average where they are unrelated, and
    so may be negative. Differentiable with respect to both.

    Args:
        x: features ``[n, p]``.
        y: features or responses ``[n, q]`` to the same stimuli.
        unbiased: which estimator.
        subsets: stimuli of each of several scores, ``[k, m]`` indices; None: all stimuli once.
        names: what the arrays are called in errors.

    Returns:
        CKA, a scalar, or ``[k]``.

    Raises:
        InputError: if shapes do not fit, values are NaN or constant, or there are fewer than 4
            stimuli.
    """
    x, y = (checks.floats(z, name, 2) for z, name in zip((x, y), names, strict=True))
    checks.same_length(len(x), len(y), *names)
    k, m = (gram(z, name) for z, name in zip((x, y), names, strict=True))
    return cka_from_gram(k, m, unbiased=unbiased, subsets=subsets)


def cka_from_gram(k: Any, m: Any, *, unbiased: bool = True, subsets: Any = None) -> jax.Array:
    """:func:`cka` from Gram matrices ``[n, n]``.

    Args:
        k: Gram matrix of one representation.
        m: Gram matrix of the other.
        unbiased: which estimator.
        subsets: see :func:`cka`.

    Returns:
        CKA, a scalar, or one per subset.

    Raises:
        InputError: if shapes do not fit or there are fewer than 4 stimuli.
    """
    k, m = checks.floats(k, "Gram matrix", 2), checks.floats(m, "Gram matrix", 2)
    checks.same_length(len(k), len(m), "one Gram matrix", "the other")
    size = len(k) if subsets is None else jnp.shape(subsets)[-1]
    if size < 4:
        raise InputError(f"CKA needs at least 4 stimuli, there are {size}")
    if subsets is None:
        return checks.finite(_cka(k, m, unbiased), "CKA")
    return _cka_of_subsets(k, m, jnp.asarray(subsets), unbiased)


@checks.compiled(static=("unbiased",))
def _cka(k, m, unbiased):
    k, m = (_prepared(z, unbiased) for z in (k, m))
    return (k * m).sum() / jnp.sqrt(jnp.square(k).sum() * jnp.square(m).sum())


@checks.compiled(static=("unbiased",))
def _cka_of_subsets(k, m, subsets, unbiased):
    return lax.map(lambda rows: _cka(k[rows][:, rows], m[rows][:, rows], unbiased), subsets)


def _prepared(k: jax.Array, unbiased: bool) -> jax.Array:
    """A matrix whose inner product with another's is their HSIC, up to a factor that cancels."""
    n = len(k)
    if not unbiased:
        k = k - k.mean(0, keepdims=True)
        return k - k.mean(1, keepdims=True)
    # U-centring: the inner product of U-centred matrices is the unbiased estimator.
    off = 1 - jnp.eye(n, dtype=k.dtype)
    k = k * off
    rows = k.sum(0) / (n - 2)
    return (k - rows[None] - rows[:, None] + k.sum() / ((n - 1) * (n - 2))) * off

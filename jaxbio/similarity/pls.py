"""Partial least squares regression of many splits at once.

Each component is the direction ``w`` of the features whose scores ``t = X w`` have the largest
covariance with the targets: the first singular vector of ``X' Y``. Then what ``t`` explains is
taken from ``X``. scikit-learn's NIPALS multiplies by the ``n x p`` features in every step of its
power iteration, and rewrites them for every component. Here ``X' Y`` is computed once and follows
the deflation by updates of rank one; ``X`` never changes, so all splits share it, and a component
costs two products of ``X`` with as many vectors as there are splits. Wide features are first
turned into as many as there are stimuli (:func:`isometric`), which changes no inner product.

All of it runs in float64, also for float32 features, as scikit-learn's does: components of a steep
spectrum are differences of large numbers.

Reference:
    Rannar et al. 1994, "A PLS kernel algorithm for data sets with many variables and fewer
    objects", J. Chemometrics 8; the estimator is scikit-learn's ``PLSRegression(scale=False)``,
    its stopping rule included.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# scikit-learn's defaults.
_TOLERANCE = 1e-6
_ITERATIONS = 500
# Relative to the largest, by bytes of the features' type: the smallest singular values that the
# squares of a Gram matrix in float64 keep to 5 and to 10 digits.
_WELL_CONDITIONED = {4: 1e-5, 8: 1e-3}
_BLOCK = 4096  # features converted to float64 at a time


def isometric(features: Any) -> np.ndarray:
    """At most ``n`` features with the inner products of centred ``[n, p]``, in float64.

    They come from a Gram matrix, or, where its squares would lose small directions, from a QR
    decomposition.
    """
    from scipy.linalg import lapack, qr  # slow imports that only PLS needs

    features = np.asarray(features)
    n, p = features.shape
    if p <= n:
        x = np.asarray(features, np.float64)
        return x - x.mean(0)

    def blocks():
        for start in range(0, p, _BLOCK):
            block = np.asarray(features[:, start : start + _BLOCK], np.float64)
            yield block - block.mean(0)

    factor, order, rank, _ = lapack.dpstrf(sum(x @ x.T for x in blocks()), lower=1)
    pivots = factor.diagonal()[: n - 1]  # centring leaves n - 1 dimensions
    if rank >= n - 1 and pivots[-1] > _WELL_CONDITIONED[features.dtype.itemsize] * pivots[0]:
        x = np.empty((n, n - 1))
        x[order - 1] = np.tril(factor)[:, : n - 1]
        return x
    triangle = np.empty((0, n))
    for block in blocks():
        triangle = qr(np.concatenate([triangle, block.T]), mode="r", check_finite=False)[0][:n]
    return triangle.T


def pls_of_split(y: jax.Array, found: jax.Array, train: jax.Array, test: jax.Array) -> jax.Array:
    """Predictions ``[n_test, q]`` of one split, from its components ``[n, n_components]``."""
    mean = y[train].mean(0, keepdims=True)
    return mean + found[test] @ (found[train].T @ (y[train] - mean))


def components_found(found: jax.Array) -> jax.Array:
    """How many components each split has ``[splits]``."""
    return found.any(1).sum(1)


def pls_components(x: jax.Array, y: jax.Array, train: jax.Array, n_components: int) -> jax.Array:
    """Components of PLS regression (centred, not scaled) of every split.

    Args:
        x: features ``[n, r]``, or others with the same inner products.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        n_components: number of components; those beyond the rank of the training features are zero.

    Returns:
        Scores of all stimuli ``[splits, n, n_components]``, of unit length over training stimuli.
    """
    n, q = y.shape
    n_splits, n_train = train.shape
    # NIPALS starts from the scores of the first target; PLS does not see rotations of the targets.
    reduced, start = (y, jnp.eye(q, dtype=y.dtype)[0]) if q <= n else _rotate(y)
    inside = jax.vmap(lambda rows: jnp.zeros(n, y.dtype).at[rows].set(1))(train)  # [splits, n]
    mean = inside @ x / n_train  # [splits, r]

    def along(w):  # scores of centred features along w [splits, r]: [splits, n]
        return (x @ w.T).T - (mean * w).sum(1, keepdims=True)

    def across(t):  # X' t of the training stimuli, for t that sums to 0 over them: [splits, r]
        return (inside * t) @ x

    centred = reduced[None] - (inside @ reduced / n_train)[:, None]
    targets = centred * inside[:, :, None]
    products = jnp.matmul(x.T, targets) - mean[:, :, None] * targets.sum(1, keepdims=True)
    size = jnp.sqrt(inside @ jnp.square(x).sum(1))
    smallest = size * n_train * jnp.finfo(y.dtype).eps  # shorter scores are rounding errors

    def component(a, carry):
        found, z = carry  # scores [splits, n, components]; deflated X' Y [splits, r, q]
        v = jax.vmap(_power_iteration, (0, None))(z.mT @ z, start)
        w = jnp.einsum("srq,sq->sr", z, v)
        w = w / _length(w)
        t = along(w)
        for _ in range(2):
            t = t - jnp.einsum("sna,sa->sn", found, jnp.einsum("sna,sn->sa", found, inside * t))
        length = _length(inside * t)
        t = jnp.where(length > smallest[:, None], t / length, 0)
        change = jnp.einsum("sr,sq->srq", across(t), jnp.einsum("snq,sn->sq", targets, t))
        return lax.dynamic_update_index_in_dim(found, t[:, :, None], a, 2), z - change

    found = jnp.zeros((n_splits, n, n_components), y.dtype)
    return lax.fori_loop(0, n_components, component, (found, products))[0]


def _length(x: jax.Array) -> jax.Array:
    """Of rows ``[splits, ...]``, 1 where it is 0: ``[splits, 1]``."""
    length = jnp.sqrt(jnp.square(x).sum(1, keepdims=True))
    return jnp.where(length > 0, length, 1)


def _power_iteration(m: jax.Array, start: jax.Array) -> jax.Array:
    """NIPALS' weights of the targets: power iteration from ``start`` on ``m = Y' X X' Y``.

    It stops where the features' weights ``w = X' Y v`` (of unit length) stop moving. Where two
    directions explain almost alike that is before convergence, and scores depend on it in the third
    digit: so this is done as in the published estimator. The length of ``w`` is that of ``v`` under
    ``m``.
    """

    def unit(v):
        product = m @ v
        length = jnp.sqrt(jnp.maximum(v @ product, 0))
        length = jnp.where(length > 0, length, 1)
        return v / length, product / length

    def step(carry):
        v, product, _, number = carry
        new, new_product = unit(product)
        moved = (new - v) @ (new_product - product)
        return new, new_product, moved, number + 1

    def moving(carry):
        return (carry[2] >= _TOLERANCE) & (carry[3] < _ITERATIONS)

    first = (*unit(start), jnp.asarray(jnp.inf, m.dtype), 1)
    return lax.while_loop(moving, step, first)[0]


def _rotate(y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Targets ``[n, n]`` with the inner products of ``[n, q]``, and the first of those in them."""
    directions, triangle = jnp.linalg.qr(y.T)
    return triangle.T, directions[0]

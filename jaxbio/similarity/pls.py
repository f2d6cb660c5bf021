"""Partial least squares regression from a Gram matrix.

Each component is the direction ``w`` of the features whose scores ``t = X w`` have the largest
covariance with the targets: the first singular vector of ``X' Y``. Then what ``t`` explains is
taken from ``X``. scikit-learn's NIPALS multiplies by the ``n x p`` features in every step of its
power iteration, and rewrites them for every component. Scores need only ``K = X X'``: ``t`` is
``K Y v``, with ``v`` from the same iteration on ``Y' K Y`` (q x q), and ``K Y`` follows the
deflation by updates of rank one. ``K`` itself never changes, so all splits share it, and a
component costs one product of ``K`` with as many vectors as there are splits.

Reference:
    Rannar et al. 1994, "A PLS kernel algorithm for data sets with many variables and fewer
    objects", J. Chemometrics 8; the estimator is scikit-learn's ``PLSRegression(scale=False)``,
    its stopping rule included.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.similarity import checks

# scikit-learn's defaults.
_TOLERANCE = 1e-6
_ITERATIONS = 500


@checks.compiled(static=("n_components",))
def pls_predict(
    k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array, n_components: int
) -> jax.Array:
    """Predictions of PLS regression (centred, not scaled) for the test stimuli of every split.

    Args:
        k: Gram matrix of the features ``[n, n]``.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.
        n_components: number of components, at most the rank of the training features.

    Returns:
        Predictions ``[splits, n_test, q]``.
    """
    n, q = y.shape
    n_splits, n_train = train.shape
    # NIPALS starts from the scores of the first target.
    reduced, start = (y, jnp.eye(q, dtype=y.dtype)[0]) if q <= n else _rotate(y)
    inside = jax.vmap(lambda rows: jnp.zeros(n, y.dtype).at[rows].set(1))(train)  # [splits, n]

    def centred(x):  # minus the training stimuli's mean: [splits, n, ...]
        mean = jnp.einsum("sn,sn...->s...", inside, x) / n_train
        return x - mean[:, None]

    def through_k(x):  # K_c x for x that sums to 0 over the training stimuli and is 0 elsewhere
        flat = x.swapaxes(0, 1).reshape(n, -1)
        return centred((k @ flat).reshape(n, n_splits, *x.shape[2:]).swapaxes(0, 1))

    def take_away(x, found):  # what the components found so far explain of x, [splits, n]
        shares = jnp.einsum("sna,sn->sa", found, inside * x)
        return x - jnp.einsum("sna,sa->sn", found, shares)

    copies = jnp.broadcast_to(reduced, (n_splits, *reduced.shape))
    targets = centred(copies) * inside[:, :, None]

    def component(a, carry):
        found, z = carry  # scores [splits, n, components]; deflated K Y [splits, n, q]
        v = jax.vmap(_power_iteration, (0, None))(targets.mT @ z, start)
        t = take_away(jnp.einsum("snq,sq->sn", z, v), found)
        t = t / jnp.sqrt((inside * jnp.square(t)).sum(1, keepdims=True))
        along = inside * t
        loading = take_away(through_k(along), found)
        c = jnp.einsum("snq,sn->sq", targets, along)
        d = jnp.einsum("snq,sn->sq", targets, loading) - c * (along * loading).sum(1, keepdims=True)
        z = z - loading[:, :, None] * c[:, None] - t[:, :, None] * d[:, None]
        return lax.dynamic_update_index_in_dim(found, t[:, :, None], a, 2), z

    found = jnp.zeros((n_splits, n, n_components), y.dtype)
    found, _ = lax.fori_loop(0, n_components, component, (found, through_k(targets)))

    def predict(split):
        found, train, test = split
        mean = y[train].mean(0, keepdims=True)
        return mean + found[test] @ (found[train].T @ (y[train] - mean))

    return lax.map(predict, (found, train, test))


def _power_iteration(m: jax.Array, start: jax.Array) -> jax.Array:
    """NIPALS' weights of the targets: power iteration from ``start`` on ``m = Y' K Y``.

    It stops where the features' weights ``w = X' Y v`` (of unit length) stop moving. Where two
    directions explain almost alike that is before convergence, and scores depend on it in the third
    digit: so this is done as in the published estimator. The length of ``w`` is that of ``v`` under
    ``m``.
    """

    def unit(v):
        product = m @ v
        length = jnp.sqrt(v @ product)
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
    """Targets ``[n, n]`` with the inner products of ``[n, q]``, and the first of those in them.

    Scores of PLS do not change when the targets are rotated.
    """
    y = y - y.mean(0, keepdims=True)
    values, vectors = jnp.linalg.eigh(y @ y.T)
    kept = values > values[-1] * len(y) * jnp.finfo(y.dtype).eps
    scale = jnp.sqrt(jnp.where(kept, values, 1))
    return vectors * (scale * kept)[None], (vectors.T @ y[:, 0]) / scale * kept

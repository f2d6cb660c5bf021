"""Ridge regression from a Gram matrix, with a given penalty or one found by leaving one out.

Reference:
    Hoerl & Kennard 1970; leave-one-out errors in closed form: Golub, Heath & Wahba 1979. The
    estimators are those of scikit-learn's ``Ridge`` and ``RidgeCV``: intercept not penalised.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.similarity import checks
from jaxbio.similarity.gram import centre

# Half-decades; denser choices change the chosen penalty, hardly the predictions.
RIDGE_ALPHAS = tuple(10.0 ** (e / 2) for e in range(-4, 15))


@checks.compiled
def ridge_predict(
    k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array, alpha: jax.Array
) -> jax.Array:
    """Ridge predictions for the test stimuli of every split: ``K_test (K_train + alpha)^-1 Y``.

    Args:
        k: Gram matrix of the features ``[n, n]``.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.
        alpha: penalty, above 0.

    Returns:
        Predictions ``[splits, n_test, q]``.
    """

    def solve(k, y):
        penalised = k + alpha * jnp.eye(len(k), dtype=k.dtype)
        return jax.scipy.linalg.solve(penalised, y, assume_a="pos"), alpha

    return _predict(k, y, train, test, solve)[0]


@checks.compiled
def ridge_cv_predict(
    k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array, alphas: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """:func:`ridge_predict` with the one of the penalties ``alphas`` ``[A]``, above 0, that has the
    least leave-one-out error for all neuroids; besides, the penalties chosen ``[splits]``.
    """

    def solve(k, y):
        values, vectors = jnp.linalg.eigh(k)
        values = jnp.maximum(values, 0)
        turned = vectors.T @ y

        def error(alpha):  # of each stimulus left out: residual / (1 - leverage)
            share = alpha / (values + alpha)
            residual = vectors @ (share[:, None] * turned)
            # The intercept's leverage is 1/n.
            rest = jnp.square(vectors) @ share - 1 / len(k)
            return jnp.square(residual / rest[:, None]).mean()

        alpha = alphas[jnp.argmin(lax.map(error, alphas))]
        return vectors @ (turned / (values + alpha)[:, None]), alpha

    return _predict(k, y, train, test, solve)


@checks.compiled
def linear_predict(k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array) -> jax.Array:
    """Ordinary least squares, of least norm where features outnumber stimuli.

    Directions whose variance is rounding error are left out. Gram matrices square the condition
    number: in float32 this is for well-conditioned features. Arguments and result are those of
    :func:`ridge_predict`.
    """

    def solve(k, y):
        values, vectors = jnp.linalg.eigh(k)
        kept = values > values[-1] * len(k) * jnp.finfo(k.dtype).eps
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        return vectors @ (inverse[:, None] * (vectors.T @ y)), None

    return _predict(k, y, train, test, solve)[0]


def _predict(k, y, train, test, solve: Callable) -> tuple[jax.Array, Any]:
    """Predictions of every split, and what ``solve`` makes, of the training stimuli's centred Gram
    matrix and responses, besides their weights ``[n_train, q]``.
    """

    def one(split):
        train, test = split
        centred = centre(k, train)
        mean = y[train].mean(0, keepdims=True)
        weights, found = solve(centred[train][:, train], y[train] - mean)
        return mean + centred[test][:, train] @ weights, found

    return lax.map(one, (train, test))

"""Ridge regression from a Gram matrix, with a given penalty or one found by leaving one out.

Reference:
    Hoerl & Kennard 1970; leave-one-out errors in closed form: Golub, Heath & Wahba 1979. The
    estimators are those of scikit-learn's ``Ridge`` and ``RidgeCV``: intercept not penalised.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.similarity import checks
from jaxbio.similarity.gram import centre


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

    def one(split):
        train, test = split
        centred = centre(k, train)
        mean = y[train].mean(0, keepdims=True)
        penalised = centred[train][:, train] + alpha * jnp.eye(len(train), dtype=k.dtype)
        weights = jax.scipy.linalg.solve(penalised, y[train] - mean, assume_a="pos")
        return mean + centred[test][:, train] @ weights

    return lax.map(one, (train, test))


@checks.compiled
def ridge_cv_predict(
    k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array, alphas: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Ridge predictions with the penalty of the least leave-one-out error, one for all neuroids.

    Args:
        k: Gram matrix of the features ``[n, n]``.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.
        alphas: penalties to choose from ``[A]``, above 0.

    Returns:
        Predictions ``[splits, n_test, q]`` and the penalties chosen ``[splits]``.
    """

    def one(split):
        train, test = split
        centred = centre(k, train)
        mean = y[train].mean(0, keepdims=True)
        values, vectors = jnp.linalg.eigh(centred[train][:, train])
        values = jnp.maximum(values, 0)
        turned = vectors.T @ (y[train] - mean)

        def error(alpha):  # of each stimulus left out: residual / (1 - leverage)
            share = alpha / (values + alpha)
            residual = vectors @ (share[:, None] * turned)
            # The intercept's leverage is 1/n.
            rest = jnp.square(vectors) @ share - 1 / len(train)
            return jnp.square(residual / rest[:, None]).mean()

        alpha = alphas[jnp.argmin(lax.map(error, alphas))]
        weights = vectors @ (turned / (values + alpha)[:, None])
        return mean + centred[test][:, train] @ weights, alpha

    return lax.map(one, (train, test))


@checks.compiled
def linear_predict(k: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array) -> jax.Array:
    """Ordinary least squares, of least norm where features outnumber stimuli.

    Directions whose variance is rounding error are left out. Gram matrices square the condition
    number: in float32 this is for well-conditioned features.

    Args:
        k: Gram matrix of the features ``[n, n]``.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.

    Returns:
        Predictions ``[splits, n_test, q]``.
    """

    def one(split):
        train, test = split
        centred = centre(k, train)
        mean = y[train].mean(0, keepdims=True)
        values, vectors = jnp.linalg.eigh(centred[train][:, train])
        kept = values > values[-1] * len(train) * jnp.finfo(k.dtype).eps
        inverse = jnp.where(kept, 1 / jnp.where(kept, values, 1), 0)
        weights = vectors @ (inverse[:, None] * (vectors.T @ (y[train] - mean)))
        return mean + centred[test][:, train] @ weights

    return lax.map(one, (train, test))

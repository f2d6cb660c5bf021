"""Prediction of each neuroid by the single best feature.

Reference:
    Arend et al. 2018, "Single units in a deep neural network functionally correspond with neurons
    in the brain", doi:10.1101/274589; Brain-Score's neuron-to-neuron metric.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.similarity import checks


@checks.compiled
def one_to_one_predict(
    x: jax.Array, y: jax.Array, train: jax.Array, test: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """For each neuroid the feature of the highest (signed) correlation in training.

    Features that are constant over the training stimuli are never chosen.

    Args:
        x: features ``[n, p]``.
        y: responses ``[n, q]``.
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.

    Returns:
        The chosen features of the test stimuli ``[splits, n_test, q]``, and their indices
        ``[splits, q]``.
    """

    def one(split):
        train, test = split
        a, b = (_unit(z[train]) for z in (x, y))
        best = jnp.argmax(a.T @ b, 0)
        return x[test][:, best], best

    return lax.map(one, (train, test))


def _unit(x: jax.Array) -> jax.Array:
    x = x - x.mean(0, keepdims=True)
    length = jnp.sqrt(jnp.square(x).sum(0, keepdims=True))
    return jnp.where(length > 0, x / jnp.where(length > 0, length, 1), -jnp.inf)

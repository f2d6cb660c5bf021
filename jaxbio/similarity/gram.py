"""Gram matrices: all that linear measures need to know of a layer.

PLS, ridge regression and CKA see the features ``X`` of n stimuli only through ``X X'``. It is
``[n, n]`` whatever the layer's width, so layers of all widths run through one compiled program, and
a wide layer can be forgotten as soon as its Gram matrix is there.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.similarity import checks


def gram(features: Any, name: str = "features") -> jax.Array:
    """Inner products of the features of all pairs of stimuli, after subtraction of their mean.

    Args:
        features: ``[..., n, p]``; spread over devices and processes as one likes. Only products
            travel where units are spread, and every process gets the result.
        name: what they are called in errors, such as the layer's name.

    Returns:
        ``[..., n, n]``.

    Raises:
        InputError: if values are NaN, or constant over all stimuli.
    """
    features = jnp.asarray(features)
    features = checks.floats(features, name, max(features.ndim, 2))
    checks.varies(features, name)
    return checks.local(_gram(features))


@checks.compiled
def _gram(x):
    x = x - x.mean(-2, keepdims=True)
    return x @ x.mT


def centre(k: jax.Array, train: jax.Array) -> jax.Array:
    """Gram matrix of features from which the mean of the training stimuli has been subtracted.

    Args:
        k: ``[n, n]``.
        train: indices of the training stimuli.
    """
    mean = k[train].mean(0)
    return k - mean[None] - mean[:, None] + mean[train].mean()

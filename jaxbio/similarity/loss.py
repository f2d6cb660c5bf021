"""The loss that pulls a network's representation towards that of a brain.

Reference:
    Singh et al., "neural-finetuning": the RDM of a balanced batch against that of the recordings.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.rdm import _hollow


def object_means(features: Any, objects: Any, n_objects: int) -> jax.Array:
    """Mean features of every object.

    Args:
        features: ``[..., n, p]``.
        objects: index of each image's object, ``[n]``, values in [0, n_objects).
        n_objects: number of objects; each must occur.

    Returns:
        ``[..., n_objects, p]``.

    Raises:
        InputError: if shapes do not fit or an object does not occur.
    """
    features, objects = jnp.asarray(features), jnp.asarray(objects)
    if features.ndim < 2 or objects.shape != features.shape[-2:-1]:
        raise InputError(
            f"objects is {objects.shape}, features are {features.shape}: one object per image"
        )
    if checks.known(objects):
        found = jnp.unique(objects)
        if len(found) != n_objects or int(found[0]) != 0 or int(found[-1]) != n_objects - 1:
            raise InputError(f"{len(found)} of {n_objects} objects occur; all must, as 0 .. n - 1")
    return _object_means(features, objects, n_objects)


def rdm_loss(features: Any, target: Any, objects: Any) -> jax.Array:
    """Mean squared difference between the RDM of object means and a target RDM.

    The RDM is 1 - Pearson's r over features; the mean is over all entries of the matrix, diagonal
    included. Differentiable with respect to the features; no values are checked, as it is made to
    stand inside a compiled training step.

    Args:
        features: a batch's activations ``[n, p]`` (flatten maps first).
        target: RDM ``[objects, objects]``.
        objects: index of each image's object ``[n]``, its row in ``target``.

    Returns:
        The loss, a scalar.

    Raises:
        InputError: if shapes do not fit.

    Example:
        >>> jax.grad(rdm_loss)(features, target, jnp.arange(196) // 4).shape
        (196, 256)
    """
    features, target, objects = (jnp.asarray(x) for x in (features, target, objects))
    fits = features.ndim == 2 and objects.shape == features.shape[:1]
    if not fits or target.ndim != 2 or target.shape[0] != target.shape[1]:
        raise InputError(
            f"features {features.shape}, objects {objects.shape}, target {target.shape}: must be "
            "[images, features], [images], [objects, objects]"
        )
    return _rdm_loss(features, target, objects)


@checks.compiled(static=("n_objects",))
def _object_means(features, objects, n_objects):
    one_hot = jax.nn.one_hot(objects, n_objects, axis=0, dtype=features.dtype)
    weights = one_hot / one_hot.sum(1, keepdims=True)
    return jnp.einsum("ki,...ip->...kp", weights, features)


@checks.compiled
def _rdm_loss(features, target, objects):
    x = _object_means(features, objects, target.shape[0])
    x = x - x.mean(-1, keepdims=True)
    x = x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
    return jnp.square(_hollow(1 - x @ x.mT) - target).mean()

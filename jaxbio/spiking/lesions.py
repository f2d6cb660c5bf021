"""Networks with parts deleted: how gracefully their accuracy degrades.

Reference:
    Saunders et al. 2019, arXiv 1904.06269, who delete synapses and neurons at random after
    training.
"""

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.ops.stdp import normalise_weights
from jaxbio.spiking.network import Weights

_NEVER = 1e9  # mV above the threshold


def delete_synapses(weights: Weights, key: jax.Array, share: float) -> Weights:
    """Zeroes each weight from X to Y with probability ``share``; a neuron's sum stays as it was.

    What is left of a neuron's weights is scaled up: BindsNET, the reference's program, normalises
    after every presentation, also while nothing learns. Where positions share their weights, they
    share the deletions.
    """
    _check(share)
    kept = jax.random.uniform(key, weights.xy.shape) >= share
    left = jnp.where(kept, weights.xy, 0.0)
    return weights._replace(xy=normalise_weights(left, weights.xy.sum(1, keepdims=True), axis=1))


def delete_neurons(weights: Weights, key: jax.Array, share: float) -> Weights:
    """Silences each neuron of Y with probability ``share``: its threshold is out of reach."""
    _check(share)
    kept = jax.random.uniform(key, weights.theta.shape) >= share
    return weights._replace(theta=jnp.where(kept, weights.theta, _NEVER))


def _check(share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"share={share}: what is deleted is a share from 0 to 1")

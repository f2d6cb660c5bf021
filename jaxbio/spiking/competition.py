"""Trained competition: what happens to lateral weights between presentations."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.spiking.network import Network, Parameters, Weights

Array = jax.Array


def allowed_pairs(network: Network) -> np.ndarray | None:
    """Pairs of neurons that keep competing after an image, bool ``[neurons, neurons]``; None: all.

    The published program keeps competition between the different filters of one position only, and
    zeroes the rest after every training image of a locally connected network with trained
    competition; convolutional and fully connected ones keep all. Within an image all pairs act and
    learn.
    """
    if not network.trained_competition or network.kind != "lc":
        return None
    return network.same_position()


def mask(weights: Weights, allowed: np.ndarray | None) -> Weights:
    """Zeroes what is not among the :func:`allowed_pairs`, which are in the order of the weights."""
    if allowed is None or weights.yy is None:
        return weights
    return weights._replace(yy=jnp.where(allowed, weights.yy, 0.0))


def fill(network: Network, parameters: Parameters, weights: Weights) -> Weights:
    """First part of two-step training: ``c_w`` between all pairs, self-connections included."""
    shape = (network.neurons, network.neurons)
    return weights._replace(yy=jnp.full(shape, parameters.c_w, jnp.float32))


def clear(yy: Array) -> Array:
    """Second part of two-step training: competition starts from zero."""
    return jnp.zeros_like(yy)

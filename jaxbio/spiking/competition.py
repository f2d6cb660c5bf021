"""Trained competition: what happens to lateral weights between presentations."""

import jax
import jax.numpy as jnp

from jaxbio.spiking.network import Network, Parameters, Weights

Array = jax.Array


def mask(network: Network, weights: Weights) -> Weights:
    """Keeps competition between the different filters of one position only.

    The published program does this after every training image of a locally connected network with
    trained competition; convolutional and fully connected ones never do. Within an image all pairs
    act and learn.
    """
    if weights.yy is None or network.kind != "lc":
        return weights
    return weights._replace(yy=jnp.where(network.same_position(), weights.yy, 0.0))


def fill(network: Network, parameters: Parameters, weights: Weights) -> Weights:
    """First part of two-step training: ``c_w`` between all pairs, self-connections included."""
    shape = (network.neurons, network.neurons)
    return weights._replace(yy=jnp.full(shape, parameters.c_w, jnp.float32))


def clear(network: Network, weights: Weights) -> Weights:
    """Second part of two-step training: competition starts from zero."""
    return weights._replace(yy=jnp.zeros((network.neurons, network.neurons)))

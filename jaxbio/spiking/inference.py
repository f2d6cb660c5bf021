"""Responses of networks that do not learn, many images at a time."""

from functools import partial

import jax
import jax.numpy as jnp

from jaxbio.spiking.groups import see
from jaxbio.spiking.network import (
    Network,
    Parameters,
    Weights,
    from_published_order,
    published_order,
)

Array = jax.Array

# What is computed in one go stays in the cache.
_TOGETHER = 8  # images
_STEPS_TOGETHER = 64


def respond(network: Network, parameters: Parameters, weights: Weights, x: Array) -> Array:
    """Spike counts of images shown to a network at rest.

    X does not depend on Y, so the currents of all steps are one matrix product and only the neurons
    are scanned over time. The spikes are those of :func:`jaxbio.spiking.presentation.present`
    without learning; the weights are taken as they are.

    Args:
      network: static.
      parameters: scalars.
      weights: of one network.
      x: bool ``[B, steps, pixels]``.

    Returns:
      float32 ``[B, neurons]``, published order.
    """
    images, steps, pixels = x.shape
    neurons = parameters.lif(network)
    shape = (network.positions, images, network.filters)
    threshold = (neurons.threshold - neurons.rest + weights.theta)[:, None]
    length = max(n for n in range(1, _STEPS_TOGETHER + 1) if steps % n == 0)

    def step(t: Array, carry: tuple, currents: Array) -> tuple:
        u, waiting, spikes, counts, excitation = carry
        current = excitation + _inhibition(network, parameters, weights.yy, spikes)
        u = neurons.decay * u + jnp.where(waiting > 0, 0.0, current)
        u, fired = jax.lax.optimization_barrier((u, u >= threshold))
        waiting = jnp.where(fired, float(network.refractory), jnp.maximum(waiting - 1.0, 0.0))
        spikes = fired.astype(jnp.float32)
        now = jax.lax.dynamic_index_in_dim(currents, t, 2, keepdims=False)
        return jnp.where(fired, 0.0, u), waiting, spikes, counts + spikes, now

    def block(carry: tuple, x: Array) -> tuple[tuple, None]:
        currents = _currents(network, weights.xy, jnp.swapaxes(see(network, x), 0, 1))
        return jax.lax.fori_loop(0, length, partial(step, currents=currents), carry), None

    blocks = jnp.swapaxes(x.reshape(images, -1, length, pixels), 0, 1)
    carry, _ = jax.lax.scan(block, (jnp.zeros(shape),) * 5, blocks)
    return published_order(jnp.swapaxes(carry[3], 0, 1))


def respond_encoded(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    encoder,
    key: Array,
    levels: Array,
    numbers: Array,
) -> Array:
    """Encodes and shows images; a few at a time, so that memory does not grow with their number.

    Args:
      network: static.
      parameters: scalars.
      weights: of one network.
      encoder: ``encoder(key, levels [pixels]) -> bool [steps, pixels]``.
      key: image ``i`` is encoded with ``fold_in(key, numbers[i])``.
      levels: ``[B, pixels]`` grey levels.
      numbers: int32 ``[B]``.

    Returns:
      float32 ``[B, neurons]``, published order.
    """

    def some(batch: tuple[Array, Array]) -> Array:
        pictures, numbers = batch
        keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(numbers)
        return respond(network, parameters, weights, jax.vmap(encoder)(keys, pictures))

    images = levels.shape[0]
    together = min(_TOGETHER, images)
    padding = -images % together
    levels = jnp.pad(levels, ((0, padding), (0, 0)))
    numbers = jnp.pad(numbers, (0, padding))
    batches = (levels.reshape(-1, together, levels.shape[1]), numbers.reshape(-1, together))
    return jax.lax.map(some, batches).reshape(-1, network.neurons)[:images]


def _currents(network: Network, xy: Array, seen: Array) -> Array:
    """``[P, B, T, F]`` of spikes ``[P, B, T, K]``: positions first is what products want."""
    xy = jnp.broadcast_to(xy, (network.positions, *xy.shape[1:]))
    return jnp.einsum("pbtk,pkf->pbtf", seen, xy, precision=jax.lax.Precision.HIGHEST)


def _inhibition(network: Network, parameters: Parameters, yy: Array | None, spikes: Array) -> Array:
    """From the last step's spikes, both ``[P, B, F]``."""
    if yy is None:
        return parameters.c_w * (spikes.sum(-1, keepdims=True) - spikes)
    sources = published_order(jnp.swapaxes(spikes, 0, 1))
    targets = jnp.matmul(sources, yy, precision=jax.lax.Precision.HIGHEST)
    return jnp.swapaxes(from_published_order(targets, network), 0, 1)

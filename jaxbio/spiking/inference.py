"""Responses of networks that do not learn, many images at a time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.ops.cores import run_all
from jaxbio.ops.encoding import LevelEncoder
from jaxbio.spiking import active_pixels
from jaxbio.spiking.groups import Clock, at, see
from jaxbio.spiking.network import (
    Network,
    Parameters,
    Weights,
    from_published_order,
    published_order,
)

Array = jax.Array

# Images in one go: what stays in a core's cache, and what fills an accelerator.
_TOGETHER_ON_CPU, _TOGETHER = 8, 512


def respond(network: Network, parameters: Parameters, weights: Weights, x: Array) -> Array:
    """Spike counts of images shown to a network at rest.

    X does not depend on Y, so the currents of all steps are matrix products and only the neurons
    are scanned over time. The spikes are those of :func:`jaxbio.spiking.presentation.present`
    without learning; the weights are taken as they are.

    Args:
        network: static.
        parameters: scalars.
        weights: of one network.
        x: uint32 ``[B, ceil(steps / 32), pixels]``, X's spikes, see
            :func:`jaxbio.ops.encoding.pack`.

    Returns:
        float32 ``[B, neurons]``, published order.
    """
    neurons = parameters.lif(network)
    threshold = (neurons.threshold - neurons.rest + weights.theta)[:, None]
    xy = jnp.broadcast_to(weights.xy, (network.positions, *weights.xy.shape[1:]))
    currents = active_pixels.currents(xy, jnp.swapaxes(see(network, x), 0, 1))  # [P, T, B, F]
    clock = Clock(network.refractory)

    def step(t: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        u, ticks = carry
        spikes = clock.just_fired(ticks).astype(jnp.float32)
        current = jnp.where(t > 0, at(currents, jnp.maximum(t - 1, 0)), 0.0)
        current = current + _inhibition(network, parameters, weights.yy, spikes)
        u = neurons.decay * u + jnp.where(clock.waiting(ticks), 0.0, current)
        fired = u >= threshold
        return jnp.where(fired, 0.0, u), clock.tick(ticks, fired)

    zeros = jnp.zeros((network.positions, x.shape[0], network.filters))
    _, ticks = jax.lax.fori_loop(0, network.steps, step, (zeros, zeros.astype(jnp.int32)))
    counts = clock.spikes(ticks).astype(jnp.float32)
    return published_order(jnp.swapaxes(counts, 0, 1))


def respond_encoded(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    encoder: LevelEncoder,
    key: Array,
    levels: Array,
    numbers: Array,
) -> Array:
    """Encodes and shows images; a few at a time, so that memory does not grow with their number.

    Args:
        network: static.
        parameters: scalars.
        weights: of one network.
        encoder: of :func:`jaxbio.ops.encoding.make_encoder`.
        key: image ``i`` is encoded with ``fold_in(key, numbers[i])``.
        levels: ``[B, pixels]`` grey levels; 0 never spikes.
        numbers: int32 ``[B]``.

    Returns:
        float32 ``[B, neurons]``, published order.
    """
    levels, numbers = jnp.asarray(levels), jnp.asarray(numbers)

    def some(batch: tuple[Array, Array]) -> Array:
        pictures, numbers = batch
        keys = jax.vmap(lambda n: jax.random.fold_in(key, n))(numbers)
        x = active_pixels.encode(encoder, keys, pictures)
        return respond(network, parameters, weights, x)

    images = levels.shape[0]
    on_cpu = jax.default_backend() == "cpu"
    together = min(_TOGETHER_ON_CPU if on_cpu else _TOGETHER, images)
    order = jnp.argsort((levels > 0).sum(1))  # groups of equally full images need smaller programs
    padding = -images % together
    chosen = jnp.pad(order, (padding, 0), mode="edge")  # with one more of the emptiest
    batches = (levels[chosen], numbers[chosen])
    batches = jax.tree.map(lambda leaf: leaf.reshape(-1, together, *leaf.shape[1:]), batches)
    counts = jax.lax.map(some, batches).reshape(-1, network.neurons)[padding:]
    return jnp.zeros_like(counts).at[order].set(counts)


def respond_in_batches(
    respond: Callable[..., Array], levels: np.ndarray, batch_size: int
) -> np.ndarray:
    """Responses to any number of images by a compiled function of a fixed number.

    Args:
        respond: jitted, of levels ``[batch_size, pixels]`` and image numbers int32
            ``[batch_size]``, such as :func:`respond_encoded`.
        levels: ``[n, pixels]``; image ``i`` has number ``i``.
        batch_size: images per call; the last call is filled up with dark ones.

    Returns:
        float32 ``[n, neurons]``.
    """

    def one_batch(start: int) -> np.ndarray:
        chosen = levels[start : start + batch_size]
        filled = np.zeros((batch_size, *levels.shape[1:]), levels.dtype)
        filled[: len(chosen)] = chosen
        numbers = np.arange(start, start + batch_size, dtype=np.int32)
        return np.asarray(respond(filled, numbers))[: len(chosen)]

    return np.concatenate(list(run_all(one_batch, range(0, len(levels), batch_size))))


def _inhibition(network: Network, parameters: Parameters, yy: Array | None, spikes: Array) -> Array:
    """From the last step's spikes, both ``[P, B, F]``."""
    if yy is None:
        # As a product: sums along the last axis do not vectorise on CPUs.
        flat = spikes.reshape(-1, network.filters)
        total = jnp.matmul(flat, jnp.ones((network.filters, 1)), precision="highest")
        total = total.reshape(*spikes.shape[:2], 1)
        return parameters.c_w * (total - spikes)
    sources = published_order(jnp.swapaxes(spikes, 0, 1))
    targets = jnp.matmul(sources, yy, precision=jax.lax.Precision.HIGHEST)
    return jnp.swapaxes(from_published_order(targets, network), 0, 1)

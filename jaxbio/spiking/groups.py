"""Positions as independent groups of neurons: what the fast learning programs share.

With fixed competition a neuron of a locally or fully connected network is influenced by its own
window and by the other filters of its position, by nothing else. A network is thus a set of
independent groups, and a population of networks is only a larger set. Arrays are ``[G, ...]`` with
one group per network and position.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.ops.lif import decay_factor
from jaxbio.spiking.network import Network, Parameters

Array = jax.Array


class Constants(NamedTuple):
    """Numbers of each group, ``[G, 1]``; times in steps, potentials in mV above rest."""

    decay_v: Array
    decay_theta: Array
    decay_x: Array
    tau_post: Array
    threshold: Array
    theta_plus: Array
    c_w: Array
    depression: Array
    potentiation: Array
    total: Array  # of a neuron's weights after an image


class Neurons(NamedTuple):
    """State of the neurons, ``[G, F]``.

    Attributes:
      u: potential above rest, mV.
      last: step of the last spike; a large negative number before the first.
      theta: adaptive threshold, mV.
      spikes: of the last step, 0.0 or 1.0.
      counts: spikes so far.
      current: for the next step, without inhibition, mV.
    """

    u: Array
    last: Array
    theta: Array
    spikes: Array
    counts: Array
    current: Array


def constants(network: Network, parameters: Parameters, networks: int) -> Constants:
    """The groups' numbers, from parameters that are scalars or ``[networks]``."""

    def spread(value: Array | float) -> Array:
        each = jnp.broadcast_to(jnp.asarray(value, jnp.float32), (networks,))
        return jnp.repeat(each, network.positions)[:, None]

    p, dt = parameters, network.dt
    return Constants(
        decay_v=spread(decay_factor(p.tau_v, dt)),
        decay_theta=spread(decay_factor(p.tau_theta, dt)),
        decay_x=spread(decay_factor(p.tau_x, dt)),
        tau_post=spread(p.tau_neg) / dt,
        threshold=spread(p.threshold) - spread(p.rest),
        theta_plus=spread(p.theta_plus),
        c_w=spread(p.c_w),
        depression=spread(p.depression),
        potentiation=spread(p.potentiation),
        total=spread(p.mean_weight) * network.window,
    )


def see(network: Network, words: Array) -> Array:
    """X's spikes as positions see them, from their bits.

    Args:
      network: static.
      words: uint32 ``[N, ceil(steps / 32), pixels]``, see :func:`jaxbio.ops.encoding.pack`.

    Returns:
      float32 ``[N, positions, T, window]``; T is ``steps`` rounded up to whole words.
    """
    windows = jnp.swapaxes(words[:, :, network.window_pixels()], 1, 2)  # [N, P, W, K]
    # Without the barrier every bit would be gathered by itself.
    return as_floats(jax.lax.optimization_barrier(windows))


def as_floats(words: Array) -> Array:
    """The bits of uint32 words ``[..., W, K]`` as 0.0 and 1.0, ``[..., 32 W, K]``."""
    places = jnp.arange(32, dtype=jnp.uint32).reshape(*(1,) * (words.ndim - 1), 32, 1)
    bits = (words[..., None, :] >> places) & 1
    return bits.astype(jnp.float32).reshape(*words.shape[:-2], -1, words.shape[-1])


def rest(theta: Array) -> Neurons:
    """The neurons at the start of an image."""
    zeros = jnp.zeros_like(theta)
    return Neurons(zeros, zeros - 1e6, theta, zeros, zeros, zeros)


def integrate(c: Constants, neurons: Neurons, time: Array, refractory: int) -> Neurons:
    """One step of the neurons, as :func:`jaxbio.ops.lif.step` with the inhibition of each group.

    The refractory count is the time since the last spike: input counts from ``refractory + 1``
    steps after it.
    """
    spiking = neurons.spikes.sum(1, keepdims=True)
    current = neurons.current + c.c_w * (spiking - neurons.spikes)
    u = c.decay_v * neurons.u + jnp.where(time - neurons.last > refractory, current, 0.0)
    theta = c.decay_theta * neurons.theta
    # Everything below reads these two: without the barrier each reader computes them again.
    u, theta = jax.lax.optimization_barrier((u, theta))
    fired = jax.lax.optimization_barrier(u >= c.threshold + theta)
    spikes = fired.astype(jnp.float32)
    return Neurons(
        u=jnp.where(fired, 0.0, u),
        last=jnp.where(fired, time, neurons.last),
        theta=theta + c.theta_plus * spikes,
        spikes=spikes,
        counts=neurons.counts + spikes,
        current=neurons.current,
    )


def depress(c: Constants, neurons: Neurons, time: Array) -> Array:
    """Depression of each neuron's weights per presynaptic spike, ``[G, F]``."""
    return c.depression * jnp.exp((neurons.last - time) / c.tau_post)


def at(series: Array, step: Array) -> Array:
    """``series[:, step]`` of ``[G, T, ...]``."""
    return jax.lax.dynamic_index_in_dim(series, step, 1, keepdims=False)

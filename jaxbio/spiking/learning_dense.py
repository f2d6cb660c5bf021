"""Learning of small networks: every step updates all weights, in one pass that vectorises."""

import jax
import jax.numpy as jnp

from jaxbio.ops.stdp import update_trace
from jaxbio.spiking.groups import Constants, at, depress, integrate, rest

Array = jax.Array


def learn_image(
    c: Constants, weights: Array, theta: Array, seen: Array, refractory: int
) -> tuple[Array, Array, Array]:
    """One image, learning weights and thresholds: ``presentation.present``, but faster.

    Args:
      c: numbers of the groups.
      weights: ``[G, F, K]``.
      theta: ``[G, F]``.
      seen: ``[G, T, K]``, X's spikes as floats.
      refractory: steps without input after a spike.

    Returns:
      Weights (normalised), thresholds and spike counts ``[G, F]``.
    """
    groups, steps, window = seen.shape

    def step(t: Array, carry: tuple) -> tuple:
        neurons, trace, w = carry
        time = t.astype(jnp.float32)
        x = at(seen, t)
        neurons = integrate(c, neurons, time, refractory)
        trace = update_trace(trace, x, c.decay_x)
        down = depress(c, neurons, time)
        up = c.potentiation * neurons.spikes
        w = w - x[:, None, :] * down[:, :, None] + trace[:, None, :] * up[:, :, None]
        w = jnp.clip(w, 0.0, 1.0)
        return neurons._replace(current=drive(x, w)), trace, w

    carry = (rest(theta), jnp.zeros((groups, window)), weights)
    neurons, _, weights = jax.lax.fori_loop(0, steps, step, carry)
    return normalise(c, weights), neurons.theta, neurons.counts


def drive(x: Array, weights: Array) -> Array:
    """Currents ``[G, F]`` of spikes ``[G, K]`` through weights ``[G, F, K]``."""
    return jnp.einsum("gk,gfk->gf", x, weights, precision=jax.lax.Precision.HIGHEST)


def normalise(c: Constants, weights: Array) -> Array:
    """Scales every neuron's weights ``[G, F, K]`` to the groups' total; zeros stay zero."""
    # As a product: sums along the last axis do not vectorise on CPUs.
    sums = drive(jnp.ones_like(weights[:, 0]), weights)
    return weights * (c.total / jnp.where(sums == 0, 1.0, sums))[:, :, None]

"""Spike-timing-dependent plasticity with exponential traces: one time step, as pure functions."""

import jax
import jax.numpy as jnp

Array = jax.Array
Scalar = Array | float


def update_trace(trace: Array, spikes: Array, decay: Scalar) -> Array:
    """Decays a trace and sets it to 1 (does not add) where there is a spike.

    Args:
        trace: in [0, 1], any shape.
        spikes: 0.0 or 1.0, the same shape.
        decay: factor per step, ``exp(-dt / tau)``.
    """
    return jnp.where(spikes > 0, jnp.ones_like(trace), trace * decay)


def excitatory(
    weights: Array,
    depression: Array,
    potentiation: Array,
    *,
    depression_rate: Scalar,
    potentiation_rate: Scalar,
) -> Array:
    """Feed-forward weights after one step, clamped to [0, 1].

    ``w <- clip(w - depression_rate * depression + potentiation_rate * potentiation, 0, 1)``

    Args:
        weights: any shape.
        depression: presynaptic spike times postsynaptic trace, of the weights' shape.
        potentiation: presynaptic trace times postsynaptic spike, of the weights' shape.
        depression_rate: published 1e-4.
        potentiation_rate: published 1e-2.
    """
    weights = weights - depression_rate * depression
    return jnp.clip(weights + potentiation_rate * potentiation, 0.0, 1.0)


def competition(
    weights: Array,
    spikes: Array,
    trace_pre: Array,
    trace_post: Array,
    *,
    a_pos: Scalar,
    a_neg: Scalar,
    weight_decay: Scalar,
    lowest: Scalar,
    highest: Scalar,
) -> Array:
    """Lateral weights after one step of trained competition.

    ``Q <- Q - a_pos * s post^T + a_neg * pre s^T - weight_decay``, clamped to [lowest, highest].
    All pairs take part, self-connections included. With the published, negative constants the first
    term weakens inhibition and the second strengthens it.

    Args:
        weights: ``[N, N]`` (source, target), mV.
        spikes: ``[N]``, 0.0 or 1.0.
        trace_pre: ``[N]`` of the sources, this step's spikes included.
        trace_post: ``[N]`` of the targets, this step's spikes included.
        a_pos: weight change per presynaptic spike, mV.
        a_neg: weight change per postsynaptic spike, mV.
        weight_decay: subtracted from every weight, mV per step.
        lowest: clamp, mV; may be -inf.
        highest: clamp, mV.
    """
    weights = weights - (a_pos * spikes)[:, None] * trace_post[None, :]
    weights = weights + trace_pre[:, None] * (a_neg * spikes)[None, :]
    return jnp.clip(weights - weight_decay, lowest, highest)


def normalise_weights(weights: Array, total: Scalar, axis: int) -> Array:
    """Scales weights to a given sum along an axis; sums of zero are left alone.

    Args:
        weights: any shape.
        total: the wanted sum.
        axis: over which to sum.
    """
    sums = weights.sum(axis, keepdims=True)
    return weights * (total / jnp.where(sums == 0, 1.0, sums))

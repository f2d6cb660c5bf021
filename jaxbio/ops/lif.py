"""Leaky integrate-and-fire neurons with an adaptive threshold: one time step, as pure functions.

The same equations serve the networks that learn by STDP (:mod:`jaxbio.spiking`) and the layers that
learn by surrogate gradients. All functions are elementwise, of any shape, and differentiable except
for the comparison with the threshold, which :func:`step` takes as an argument.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Scalar = Array | float


class LIFParameters(NamedTuple):
    """Constants of a neuron; scalars, or arrays that broadcast against the state.

    Attributes:
        rest: resting potential, mV.
        reset: potential after a spike, mV.
        threshold: at rest, mV; the adaptive part comes on top.
        decay: factor of the distance to rest per step, ``exp(-dt / tau)``, in [0, 1].
        refractory: steps after a spike in which input is ignored, >= 0.
        theta_plus: rise of the adaptive threshold per spike, mV.
        theta_decay: factor of the adaptive threshold per step, in [0, 1].
    """

    rest: Scalar = -65.0
    reset: Scalar = -65.0
    threshold: Scalar = -52.0
    decay: Scalar = 0.951229424500714
    refractory: Scalar = 2
    theta_plus: Scalar = 0.05
    theta_decay: Scalar = 0.9999990000005


class LIFState(NamedTuple):
    """State of neurons.

    Attributes:
        v: membrane potential, mV.
        refractory: int32, remaining steps without input.
        theta: adaptive part of the threshold, mV.
    """

    v: Array
    refractory: Array
    theta: Array


def decay_factor(tau: Scalar, dt: Scalar = 1.0) -> Array:
    """``exp(-dt / tau)``, correctly rounded also for very long time constants.

    Args:
        tau: time constant, ms, > 0.
        dt: step, ms.

    Returns:
        float32 factor per step.

    Example:
        >>> float(decay_factor(1e6)) == float(jnp.float32(0.999999))
        True
    """
    return 1.0 + jnp.expm1(-jnp.float32(dt) / jnp.asarray(tau, jnp.float32))


def initial_state(theta: Array, parameters: LIFParameters) -> LIFState:
    """Neurons at rest with a given adaptive threshold (mV)."""
    rest = jnp.broadcast_to(jnp.asarray(parameters.rest, theta.dtype), theta.shape)
    return LIFState(rest, jnp.zeros(theta.shape, jnp.int32), theta)


def at_threshold(distance: Array) -> Array:
    """1.0 where the potential has reached the threshold (``distance`` >= 0), else 0.0."""
    return (distance >= 0).astype(distance.dtype)


def step(
    state: LIFState,
    current: Array,
    parameters: LIFParameters,
    *,
    adapt: bool = True,
    spike: Callable[[Array], Array] = at_threshold,
) -> tuple[LIFState, Array]:
    """One step of all neurons.

    In this order: the potential decays towards rest; ``theta`` decays; the current is added where
    the refractory count is zero; the count falls by one; neurons at ``threshold + theta`` or above
    spike, are reset, become refractory, and raise their ``theta``. There is no lower bound on the
    potential.

    Args:
        state: before the step.
        current: mV that arrive in this step; the state's shape.
        parameters: the constants.
        adapt: whether ``theta`` changes.
        spike: distance to the threshold in mV -> 0.0 or 1.0; surrogate gradients pass their own.

    Returns:
        The state after the step, and float spikes (0.0 or 1.0).

    Reference:
        Diehl and Cook, Unsupervised learning of digit recognition using spike-timing-dependent
        plasticity, Frontiers in Computational Neuroscience 2015.
    """
    p = parameters
    v = p.rest + p.decay * (state.v - p.rest)
    theta = p.theta_decay * state.theta if adapt else state.theta
    v = v + jnp.where(state.refractory == 0, current, 0.0)
    spikes = spike(v - (p.threshold + theta))
    fired = spikes > 0
    refractory = jnp.where(fired, p.refractory, jnp.maximum(state.refractory - 1, 0))
    v = jnp.where(fired, p.reset, v)  # no gradient through the reset
    if adapt:
        theta = theta + p.theta_plus * spikes
    return LIFState(v, refractory.astype(jnp.int32), theta), spikes


def run(
    state: LIFState,
    currents: Array,
    parameters: LIFParameters,
    *,
    adapt: bool = True,
    spike: Callable[[Array], Array] = at_threshold,
) -> tuple[LIFState, Array]:
    """Scans :func:`step` over currents ``[T, ...]``: the last state and spikes ``[T, ...]``."""

    def body(carry: LIFState, current: Array) -> tuple[LIFState, Any]:
        return step(carry, current, parameters, adapt=adapt, spike=spike)

    return jax.lax.scan(body, state, currents)

"""One image, step by step, as published: the plain program that fast ones are measured against.

It handles every kind of network and every combination of what learns;
:mod:`jaxbio.spiking.learning` chooses a faster equivalent where there is one.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.ops import lif, stdp
from jaxbio.spiking.network import (
    Network,
    Parameters,
    Weights,
    from_published_order,
    published_order,
)

Array = jax.Array


class Learning(NamedTuple):
    """What changes during a presentation; static.

    Attributes:
        theta: the adaptive thresholds.
        xy: the weights from X to Y.
        yy: the lateral weights (trained competition only).
    """

    theta: bool = True
    xy: bool = True
    yy: bool = True


EVERYTHING = Learning()
FROZEN = Learning(False, False, False)


class Traces(NamedTuple):
    """What a presentation ends with, besides the weights.

    Attributes:
        lif: the neurons, ``[positions, filters]``.
        x: X's trace, ``[pixels]``.
        y_pre: Y's presynaptic trace, ``[positions, filters]``.
        y_post: Y's postsynaptic trace, ``[positions, filters]``.
    """

    lif: lif.LIFState
    x: Array
    y_pre: Array
    y_post: Array


class Recording(NamedTuple):
    """What a presentation did.

    Attributes:
        counts: float32 ``[neurons]``, spikes per neuron, published order.
        spikes: bool ``[steps, neurons]``; None unless asked for.
        v: float32 ``[steps, neurons]``, mV after the reset of spiking neurons; None unless asked
            for.
    """

    counts: Array
    spikes: Array | None = None
    v: Array | None = None


def present(
    network: Network,
    parameters: Parameters,
    weights: Weights,
    x: Array,
    learning: Learning = FROZEN,
    *,
    record: bool = False,
) -> tuple[Weights, Recording, Traces]:
    """Shows one image to a network.

    The state at the start is rest, without spikes or traces; thresholds persist. Each step: X
    spikes; Y integrates the current of the step before and spikes; plasticity; then the current for
    the next step, with the new weights. At the end every window is normalised, learning or not.
    (Lateral weights are not masked here, see :func:`jaxbio.spiking.competition.mask`.)

    Args:
        network: static.
        parameters: of the network.
        weights: before the image.
        x: bool or float ``[steps, pixels]``, X's spikes.
        learning: static.
        record: keep spikes and potentials of every step.

    Returns:
        The weights after the image, what happened, and the final state.
    """
    learning = learning._replace(yy=learning.yy and weights.yy is not None)
    neurons = parameters.lif(network)
    windows = jnp.asarray(network.window_pixels())
    decay_x = lif.decay_factor(parameters.tau_x, network.dt)
    decay_pre = lif.decay_factor(parameters.tau_pos, network.dt)
    decay_post = lif.decay_factor(parameters.tau_neg, network.dt)

    def body(carry: tuple, x_spikes: Array) -> tuple[tuple, Any]:
        current, state, trace_x, trace_pre, trace_post, xy, yy = carry
        trace_x = stdp.update_trace(trace_x, x_spikes, decay_x)
        state, spikes = lif.step(state, current, neurons, adapt=learning.theta)
        trace_pre = stdp.update_trace(trace_pre, spikes, decay_pre)
        trace_post = stdp.update_trace(trace_post, spikes, decay_post)
        seen = x_spikes[windows]
        if learning.xy:
            xy = stdp.excitatory(
                xy,
                _products(seen, trace_post, network),
                _products(trace_x[windows], spikes, network),
                depression_rate=parameters.depression,
                potentiation_rate=parameters.potentiation,
            )
        if learning.yy:
            yy = stdp.competition(
                yy,
                published_order(spikes),
                published_order(trace_pre),
                published_order(trace_post),
                a_pos=parameters.a_pos,
                a_neg=parameters.a_neg,
                weight_decay=parameters.weight_decay,
                lowest=parameters.c_w_min,
                highest=parameters.c_w_max,
            )
        current = _excitation(seen, xy, network) + _inhibition(spikes, yy, parameters, network)
        out = (spikes > 0, state.v) if record else None
        return (current, state, trace_x, trace_pre, trace_post, xy, yy), (spikes, out)

    shape = (network.positions, network.filters)
    zeros = jnp.zeros(shape)
    carry = (
        zeros,
        lif.initial_state(weights.theta, neurons),
        jnp.zeros(network.pixels),
        zeros,
        zeros,
        weights.xy,
        weights.yy,
    )
    x = x.astype(jnp.float32)
    carry, (spikes, out) = jax.lax.scan(body, carry, x)
    _, state, trace_x, trace_pre, trace_post, xy, yy = carry
    xy = stdp.normalise_weights(xy, parameters.mean_weight * network.window, axis=1)
    recording = Recording(published_order(spikes.sum(0)))
    if record:
        recording = recording._replace(spikes=published_order(out[0]), v=published_order(out[1]))
    return Weights(xy, state.theta, yy), recording, Traces(state, trace_x, trace_pre, trace_post)


def _products(pre: Array, post: Array, network: Network) -> Array:
    """``[positions, window]`` times ``[positions, filters]``, in the shape of the weights."""
    if network.shared:
        return jnp.matmul(pre.T, post, precision="highest")[None]
    return pre[:, :, None] * post[:, None, :]


def _excitation(seen: Array, xy: Array, network: Network) -> Array:
    if network.shared:
        return jnp.matmul(seen, xy[0], precision="highest")
    return jnp.einsum("pk,pkf->pf", seen, xy, precision="highest")


def _inhibition(spikes: Array, yy: Array | None, parameters: Parameters, network: Network) -> Array:
    if yy is None:
        return parameters.c_w * (spikes.sum(-1, keepdims=True) - spikes)
    inhibition = jnp.matmul(published_order(spikes), yy, precision="highest")
    return from_published_order(inhibition, network)

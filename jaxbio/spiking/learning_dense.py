"""Learning of small networks of every kind: each step updates all weights, in vectorised passes.

It is :func:`jaxbio.spiking.presentation.present` in the order that processors like: the neurons of
all networks as one flat vector, position by position, and weights with a window's pixels last.
"""

from typing import Any, NamedTuple, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.ops import stdp
from jaxbio.ops.lif import decay_factor
from jaxbio.spiking.groups import at
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.presentation import Learning

Array = jax.Array
PairsT = TypeVar("PairsT", Array, np.ndarray)


class Neurons(NamedTuple):
    """State of the Y neurons of N networks, ``[N * positions * filters]``.

    Attributes:
        u: potential above rest, mV.
        waiting: remaining steps without input.
        theta: adaptive threshold, mV.
        pre: presynaptic trace; None where nothing reads it.
        post: postsynaptic trace.
        spikes: of the last step, 0.0 or 1.0.
        counts: spikes so far.
        current: for the next step, mV.
    """

    u: Array
    waiting: Array
    theta: Array
    pre: Array | None
    post: Array
    spikes: Array
    counts: Array
    current: Array


def enter(network: Network, weights: Weights) -> Weights:
    """Weights ``[N, ...]`` in the order used here: ``xy [N * positions, filters, window]`` (``[N,
    ...]`` if shared), flat neurons, ``yy`` position by position.
    """
    xy = jnp.swapaxes(weights.xy, -1, -2)
    return Weights(
        xy.reshape(-1, *xy.shape[2:]),
        weights.theta.reshape(-1),
        None if weights.yy is None else reordered(weights.yy, network.filters, network.positions),
    )


def leave(network: Network, weights: Weights) -> Weights:
    """The inverse of :func:`enter`."""
    places = 1 if network.shared else network.positions
    xy = weights.xy.reshape(-1, places, *weights.xy.shape[1:])
    return Weights(
        jnp.swapaxes(xy, -1, -2),
        weights.theta.reshape(-1, network.positions, network.filters),
        None if weights.yy is None else reordered(weights.yy, network.positions, network.filters),
    )


def learn_image(
    network: Network, parameters: Parameters, weights: Weights, seen: Array, learning: Learning
) -> tuple[Weights, Array]:
    """One image, shown to each of N networks.

    Args:
        network: static.
        parameters: scalars or ``[N]``.
        weights: from :func:`enter`.
        seen: float32 ``[N * positions, T, window]``, X's spikes; T >= steps.
        learning: static.

    Returns:
        Weights (windows normalised) and spike counts ``[N * positions * filters]``.
    """
    groups, _, window = seen.shape
    trained = weights.yy is not None
    p, neurons = parameters, parameters.lif(network)
    per_group = network.positions
    per_neuron = per_group * network.filters

    def spread(value: Array | float, times: int) -> Array:
        value = jnp.asarray(value, jnp.float32)
        return jnp.repeat(value, times) if value.ndim else value

    def of_neurons(value: Array | float) -> Array:
        return spread(value, per_neuron)

    def of_groups(value: Array | float) -> Array:
        return _lifted(spread(value, per_group), 1)

    decay_u, decay_theta = of_neurons(neurons.decay), of_neurons(neurons.theta_decay)
    threshold = of_neurons(neurons.threshold - neurons.rest)
    theta_plus = of_neurons(neurons.theta_plus)
    decay_x = of_groups(decay_factor(p.tau_x, network.dt))
    decay_pre = of_neurons(decay_factor(p.tau_pos, network.dt))
    decay_post = of_neurons(decay_factor(p.tau_neg, network.dt))
    depression, potentiation = of_neurons(p.depression), of_neurons(p.potentiation)
    c_w = of_groups(p.c_w)
    decays = jnp.any(jnp.asarray(p.weight_decay) != 0)

    def step(t: Array, carry: tuple[Neurons, Array, Array, Array | None]) -> tuple:
        n, trace, xy, yy = carry
        x = at(seen, t)
        trace = stdp.update_trace(trace, x, decay_x)
        u = decay_u * n.u + jnp.where(n.waiting > 0, 0.0, n.current)
        theta = decay_theta * n.theta if learning.theta else n.theta
        fired = u >= threshold + theta
        # Everything below reads these: without the barrier each reader computes them again.
        u, theta, fired = jax.lax.optimization_barrier((u, theta, fired))
        spikes = fired.astype(jnp.float32)
        post = stdp.update_trace(n.post, spikes, decay_post)
        pre: Any = stdp.update_trace(cast(Array, n.pre), spikes, decay_pre) if trained else None
        if learning.xy:
            down = (depression * post).reshape(groups, -1)
            up = (potentiation * spikes).reshape(groups, -1)
            xy = _plasticity(network, xy, x, trace, down, up)
        if trained:
            turns = 1
            if jax.default_backend() == "cpu":
                # Most steps have no spike: nothing learns and nothing is inhibited. A loop of one
                # turn or none, since a condition would copy the weights.
                turns = (fired.any() | (t == 0) | decays).astype(jnp.int32)

            def compete(_: Array, pair: tuple[Array, Array]) -> tuple[Array, Array]:
                yy, _ = pair
                if learning.yy:
                    yy = _competition(parameters, yy, spikes, pre, post)
                sources = spikes.reshape(len(yy), -1)
                return yy, jnp.einsum("ni,nij->nj", sources, yy, precision="highest").reshape(-1)

            yy, inhibition = jax.lax.fori_loop(0, turns, compete, (yy, jnp.zeros_like(spikes)))
        else:
            of_group = spikes.reshape(groups, -1)
            others = of_group.sum(1, keepdims=True) - of_group
            inhibition = (c_w * others).reshape(-1)
        current = drive(network, x, xy).reshape(-1) + inhibition
        n = Neurons(
            u=jnp.where(fired, 0.0, u),
            waiting=jnp.where(fired, float(network.refractory), jnp.maximum(n.waiting - 1.0, 0.0)),
            theta=theta + theta_plus * spikes if learning.theta else theta,
            pre=pre,
            post=post,
            spikes=spikes,
            counts=n.counts + spikes,
            current=current,
        )
        return n, trace, xy, yy

    zeros = jnp.zeros_like(weights.theta)
    rest = Neurons(zeros, zeros, weights.theta, zeros if trained else None, *(zeros,) * 4)
    carry = (rest, jnp.zeros((groups, window)), weights.xy, weights.yy)
    n, _, xy, yy = jax.lax.fori_loop(0, network.steps, step, carry)
    total = spread(p.mean_weight, 1 if network.shared else per_group) * window
    return Weights(_normalised(xy, total), n.theta, yy), n.counts


def drive(network: Network, x: Array, xy: Array) -> Array:
    """Currents ``[G, F]`` of spikes ``[G, K]`` through weights ``[G, F, K]`` or, shared by all
    positions of a network, ``[N, F, K]``.
    """
    highest = jax.lax.Precision.HIGHEST
    if not network.shared:
        return jnp.einsum("gk,gfk->gf", x, xy, precision=highest)
    x = x.reshape(len(xy), -1, x.shape[-1])
    return jnp.einsum("npk,nfk->npf", x, xy, precision=highest)


def _normalised(xy: Array, total: Array) -> Array:
    """Scales the weights of every neuron ``[G, F, K]`` to totals ``[G]``; zeros stay zero."""
    # As a product: sums along the last axis do not vectorise on CPUs.
    sums = jnp.einsum("gfk,k->gf", xy, jnp.ones(xy.shape[-1]), precision="highest")
    return xy * (_lifted(total, 1) / jnp.where(sums == 0, 1.0, sums))[..., None]


def _plasticity(
    network: Network, xy: Array, x: Array, trace: Array, down: Array, up: Array
) -> Array:
    if not network.shared:
        xy = xy - x[:, None, :] * down[:, :, None] + trace[:, None, :] * up[:, :, None]
        return jnp.clip(xy, 0.0, 1.0)

    def by_network(first: Array, second: Array) -> Array:
        split = (len(xy), network.positions, -1)
        return jnp.concatenate([first.reshape(split), second.reshape(split)], 1)

    change = jnp.einsum(
        "npf,npk->nfk", by_network(up, -down), by_network(trace, x), precision="highest"
    )
    return jnp.clip(xy + change, 0.0, 1.0)


def _competition(p: Parameters, yy: Array, spikes: Array, pre: Array, post: Array) -> Array:
    spikes, pre, post = (values.reshape(len(yy), -1) for values in (spikes, pre, post))
    yy = yy - (_lifted(p.a_pos, 1) * spikes)[:, :, None] * post[:, None, :]
    yy = yy + pre[:, :, None] * (_lifted(p.a_neg, 1) * spikes)[:, None, :]
    decay, lowest, highest = (_lifted(v, 2) for v in (p.weight_decay, p.c_w_min, p.c_w_max))
    return jnp.clip(yy - decay, lowest, highest)


def _lifted(value: Array | float, axes: int) -> Array:
    """``[N]`` with more axes, to meet arrays ``[N, ...]``; a scalar stays one."""
    value = jnp.asarray(value, jnp.float32)
    return value.reshape(-1, *(1,) * axes) if value.ndim else value


def reordered(pairs: PairsT, rows: int, columns: int) -> PairsT:
    """Both axes of ``[..., n, n]`` from ``row * columns + column`` to ``column * rows + row``."""
    split = pairs.reshape(-1, rows, columns, rows, columns)
    return split.transpose(0, 2, 1, 4, 3).reshape(pairs.shape)

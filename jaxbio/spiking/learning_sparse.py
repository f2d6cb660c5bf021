"""Learning that touches only neurons that spike: for networks with fixed competition, on CPUs.

With fixed competition a neuron is influenced by its own window and by the other filters of its
position, by nothing else. Networks are thus independent *groups* of neurons, one per position, and
several networks are only more groups. In a group

- silent neurons, those that have not spiked in this image, keep their weights. The currents of
  all of them over all steps are one matrix product; a step then is one pass over their potentials;
- a neuron that spikes for the first time is copied to a *slot*, and only slots learn. Slots come
  in tiers of growing size; a tier costs time only once it is in use, and all neurons have room.

After training, an image makes one or two neurons of a group spike.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxbio.ops.lif import decay_factor
from jaxbio.ops.stdp import normalise_weights, update_trace
from jaxbio.spiking.active_pixels import currents
from jaxbio.spiking.groups import Clock, at
from jaxbio.spiking.network import Network, Parameters

Array = jax.Array


class Constants(NamedTuple):
    """Numbers of each group, ``[G]``; potentials in mV above rest."""

    decay_u: Array
    decay_theta: Array
    decay_post: Array
    threshold: Array
    theta_plus: Array
    c_w: Array
    depression: Array
    potentiation: Array


class Silent(NamedTuple):
    """The neurons without a slot.

    Attributes:
        u: ``[G, F]``, potentials above rest, mV.
        theta: ``[G, F]``, adaptive thresholds before the image, mV; infinite where there is a slot.
        fading: ``[G]``, what is left of ``theta`` in this step.
        next: int32, number ``group * F + filter`` of the first neuron that reaches its threshold in
            this step; ``G * F`` if none does.
    """

    u: Array
    theta: Array
    fading: Array
    next: Array


class Tier(NamedTuple):
    """S slots, and one more that is never used.

    Attributes:
        weights: ``[S + 1, K]``.
        state: ``[S + 1, 6]``: group, filter, potential above rest, clock with the number of spikes,
            adaptive threshold, postsynaptic trace. Whole numbers are exact. A free slot has an
            infinite threshold.
    """

    weights: Array
    state: Array


class Slots(NamedTuple):
    """The neurons that have spiked.

    Attributes:
        tiers: of growing size.
        used: int32, slots in use.
        spikes: ``[G]``, spikes of this step.
    """

    tiers: list[Tier]
    used: Array
    spikes: Array


def learn_image(
    network: Network, parameters: Parameters, weights: Array, theta: Array, windows: Array
) -> tuple[Array, Array, Array]:
    """One image, shown to each of N networks, learning weights and thresholds.

    Args:
        network: static.
        parameters: scalars or ``[N]``.
        weights: ``[G, K, F]`` with ``G = N * positions``.
        theta: ``[G, F]``.
        windows: uint32 ``[G, W, K]``, X's spikes as bits.

    Returns:
        Weights (normalised), thresholds and spike counts ``[G, F]``.
    """
    groups, window, _ = weights.shape
    c, decay_x, total = _constants(network, parameters, groups)
    numbers = jnp.stack(c, 1)
    weights = jnp.clip(weights, 0.0, 1.0)  # as the first step's update does
    silent_currents = currents(weights, windows[:, None])[:, :, 0]  # [G, T, F]

    def step(t: Array, carry: tuple[Silent, Slots, Array]) -> tuple[Silent, Slots, Array]:
        silent, slots, trace = carry
        word = at(windows, t // 32)
        x = ((word >> (t % 32).astype(jnp.uint32)) & 1).astype(jnp.float32)
        trace = update_trace(trace, x, decay_x)
        silent, slots = jax.lax.while_loop(
            lambda pair: pair[0].next < theta.size,
            lambda pair: _first_spike(network, c, weights, *pair),
            (silent, slots),
        )
        last = t == network.steps - 1
        inhibition = (c.c_w * slots.spikes)[:, None]
        slots = _step_slots(network, slots, numbers, x, trace, last)
        u = c.decay_u[:, None] * silent.u + at(silent_currents, t) + inhibition
        fading = jnp.where(last, silent.fading, silent.fading * c.decay_theta)
        silent = _find_next(silent._replace(u=u, fading=fading), c)
        return silent._replace(next=jnp.where(last, theta.size, silent.next)), slots, trace

    silent = Silent(jnp.zeros_like(theta), theta, c.decay_theta, jnp.int32(0))
    carry = (
        _find_next(silent, c),
        _free_slots(theta.size, window, groups),
        jnp.zeros((groups, window)),
    )
    silent, slots, _ = jax.lax.fori_loop(0, network.steps, step, carry)
    faded = theta * silent.fading[:, None]
    weights, theta, counts = _copy_back(network, slots, weights, faded)
    return normalise_weights(weights, total[:, None, None], axis=1), theta, counts


def _constants(network: Network, p: Parameters, groups: int) -> tuple[Constants, Array, Array]:
    """Numbers, the decay of X's trace ``[G, 1]``, the total of a neuron's weights ``[G]``."""

    def spread(value: Array | float) -> Array:
        each = jnp.asarray(value, jnp.float32).reshape(-1)
        return jnp.repeat(each, groups // len(each))

    lif = p.lif(network)
    c = Constants(
        decay_u=spread(lif.decay),
        decay_theta=spread(lif.theta_decay),
        decay_post=spread(decay_factor(p.tau_neg, network.dt)),
        threshold=spread(lif.threshold) - spread(lif.rest),
        theta_plus=spread(lif.theta_plus),
        c_w=spread(p.c_w),
        depression=spread(p.depression),
        potentiation=spread(p.potentiation),
    )
    decay_x = spread(decay_factor(p.tau_x, network.dt))[:, None]
    return c, decay_x, spread(p.mean_weight) * network.window


def _find_next(silent: Silent, c: Constants) -> Silent:
    limit = c.threshold[:, None] + silent.theta * silent.fading[:, None]
    size = limit.size
    number = jnp.arange(size, dtype=jnp.int32).reshape(limit.shape)
    return silent._replace(next=jnp.where(silent.u >= limit, number, size).min())


def _first_spike(
    network: Network, c: Constants, weights: Array, silent: Silent, slots: Slots
) -> tuple[Silent, Slots]:
    """Copies the next neuron to a slot, in the state of one that has just spiked."""
    _, window, filters = weights.shape
    group, one = silent.next // filters, silent.next % filters
    clock = Clock(network.refractory)
    row = jax.lax.dynamic_slice(weights, (group, 0, one), (1, window, 1)).reshape(1, window)
    theta = jax.lax.dynamic_slice(silent.theta, (group, one), (1, 1))[0, 0]
    theta = theta * silent.fading[group] + c.theta_plus[group]
    numbers = (group, one, 0.0, clock.after_first_spike, theta, 1.0)
    state = jnp.stack([jnp.asarray(number, jnp.float32) for number in numbers])[None]
    start, tiers = 0, []
    for tier in slots.tiers:
        spare = len(tier.state) - 1
        place = slots.used - start
        place = jnp.where((place >= 0) & (place < spare), place, spare)
        put = jax.lax.dynamic_update_slice_in_dim
        tiers.append(Tier(put(tier.weights, row, place, 0), put(tier.state, state, place, 0)))
        start += spare
    gone = jax.lax.dynamic_update_slice(silent.theta, jnp.full((1, 1), jnp.inf), (group, one))
    slots = Slots(tiers, slots.used + 1, slots.spikes.at[group].add(1.0))
    return _find_next(silent._replace(theta=gone), c), slots


def _free_slots(neurons: int, window: int, groups: int) -> Slots:
    tiers = []
    for size in _tier_sizes(neurons):
        free = jnp.array([0.0, 0.0, 0.0, 0.0, jnp.inf, 0.0])
        tiers.append(Tier(jnp.zeros((size + 1, window)), jnp.tile(free, (size + 1, 1))))
    return Slots(tiers, jnp.int32(0), jnp.zeros(groups))


def _tier_sizes(neurons: int) -> list[int]:
    """The first tiers hold what usually spikes; each later one doubles the slots."""
    sizes = [min(neurons, max(16, neurons // 32))]
    while (left := neurons - sum(sizes)) > 0:
        sizes.append(min(left, sum(sizes)))
    return sizes


def _step_slots(
    network: Network, slots: Slots, numbers: Array, x: Array, trace: Array, last: Array
) -> Slots:
    """Plasticity of this step, and the neurons of the next, unless this is the ``last``.

    ``numbers`` ``[G, 8]`` are the constants of the groups; ``x`` and ``trace`` are ``[G, K]``.
    """
    groups, window = x.shape
    clock = Clock(network.refractory)

    def work(tier: Tier, spikes_after: Array) -> tuple[Tier, Array]:
        group = tier.state[:, 0].astype(jnp.int32)
        _, one, u, ticks, theta, post = tier.state.T
        seen, near = _rows(x, group), _rows(trace, group)
        c, spikes_of_group = Constants(*_rows(numbers, group).T), _rows(slots.spikes, group)
        ticks = ticks.astype(jnp.int32)
        spikes = clock.just_fired(ticks).astype(jnp.float32)
        change = near * (c.potentiation * spikes)[:, None] - seen * (c.depression * post)[:, None]
        weights = jnp.clip(tier.weights + change, 0.0, 1.0)
        # As a product: sums along the last axis do not vectorise on CPUs.
        current = jnp.matmul(seen * weights, jnp.ones(window), precision="highest")
        current = current + c.c_w * (spikes_of_group - spikes)
        u = c.decay_u * u + jnp.where(clock.waiting(ticks), 0.0, current)
        theta = jnp.where(last, theta, c.decay_theta * theta)
        fired = (u >= c.threshold + theta) & ~last
        state = (
            tier.state[:, 0],
            one,
            jnp.where(fired, 0.0, u),
            clock.tick(ticks, fired).astype(jnp.float32),
            theta + c.theta_plus * fired,
            jnp.where(fired, 1.0, c.decay_post * post),
        )
        spikes_after = spikes_after.at[group].add(fired.astype(jnp.float32))
        return Tier(weights, jnp.stack(state, 1)), spikes_after

    def step_tiers(tiers: list[Tier], start: int, spikes: Array) -> tuple[list[Tier], Array]:
        if not tiers:
            return [], spikes

        def first_and_others(_: Array, carry: tuple[list[Tier], Array]) -> tuple[list[Tier], Array]:
            tiers, spikes = carry
            first, spikes = work(tiers[0], spikes)
            others, spikes = step_tiers(tiers[1:], start + len(tiers[0].state) - 1, spikes)
            return [first, *others], spikes

        # A loop of one turn or none: a condition would copy what it leaves alone.
        turns = (slots.used > start).astype(jnp.int32)
        return jax.lax.fori_loop(0, turns, first_and_others, (tiers, spikes))

    tiers, spikes = step_tiers(slots.tiers, 0, jnp.zeros(groups))
    return Slots(tiers, slots.used, spikes)


def _rows(array: Array, numbers: Array) -> Array:
    return array.at[numbers].get(mode="promise_in_bounds")


def _copy_back(
    network: Network, slots: Slots, weights: Array, theta: Array
) -> tuple[Array, Array, Array]:
    """Weights, thresholds and counts of all neurons."""
    clock = Clock(network.refractory)
    window = weights.shape[1]
    start = 0
    carry = (weights, jnp.stack([theta, jnp.zeros_like(theta)], 2))
    for tier in slots.tiers:
        size = len(tier.state) - 1

        def put(i: Array, carry: tuple[Array, Array], tier: Tier = tier) -> tuple[Array, Array]:
            weights, numbers = carry
            state = jax.lax.dynamic_index_in_dim(tier.state, i, keepdims=False)
            group, one = state[0].astype(jnp.int32), state[1].astype(jnp.int32)
            row = jax.lax.dynamic_slice_in_dim(tier.weights, i, 1).reshape(1, window, 1)
            counted = clock.spikes(state[3].astype(jnp.int32)).astype(jnp.float32)
            new = jnp.stack([state[4], counted]).reshape(1, 1, 2)
            update = jax.lax.dynamic_update_slice
            return update(weights, row, (group, 0, one)), update(numbers, new, (group, one, 0))

        carry = jax.lax.fori_loop(0, jnp.clip(slots.used - start, 0, size), put, carry)
        start += size
    weights, numbers = carry
    return weights, numbers[..., 0], numbers[..., 1]

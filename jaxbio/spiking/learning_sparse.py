"""Learning of large networks: only the neurons that have spiked in this image are updated.

A neuron's weights stay as they are until its first spike in an image, so the currents of all silent
neurons over all steps are one matrix product. Neurons that have spiked are copied to *slots* when
they first do. Slots come in blocks of eight of one group, blocks in tiers, and a tier costs time
only once one of its blocks is in use. The largest case, every neuron spiking, still fits.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.ops.stdp import update_trace
from jaxbio.spiking.groups import Constants, Neurons, at, depress, integrate, rest
from jaxbio.spiking.learning_dense import normalise

Array = jax.Array

_BLOCK = 8  # slots


class Slots(NamedTuple):
    """Copies of the weights of the neurons that have spiked.

    Attributes:
      weights: per tier ``[blocks, 8, K]``.
      slot: int32 ``[G * F]``, each neuron's slot or -1.
      neuron: int32 ``[slots]``, whose copy a slot holds.
      group: int32 ``[blocks]``.
      open_block: int32 ``[G]``, the block that a group fills at present.
      filled: int32 ``[G]``, slots used in it.
      blocks: int32, blocks in use.
    """

    weights: tuple[Array, ...]
    slot: Array
    neuron: Array
    group: Array
    open_block: Array
    filled: Array
    blocks: Array


def learn_image(
    c: Constants, weights: Array, theta: Array, seen: Array, steps: int, refractory: int
) -> tuple[Array, Array, Array]:
    """One image, learning weights and thresholds; see :mod:`jaxbio.spiking.groups` for ``c``.

    Args:
      c: numbers of the groups.
      weights: ``[G, F, K]``.
      theta: ``[G, F]``.
      seen: float32 ``[G, T, K]``, X's spikes; T >= steps.
      steps: of the image.
      refractory: steps without input after a spike.

    Returns:
      Weights (normalised), thresholds and spike counts ``[G, F]``.
    """
    groups, _, window = seen.shape
    filters = weights.shape[1]
    tiers = _tiers(groups, filters)
    weights = jnp.clip(weights, 0.0, 1.0)  # as the first step's update does
    silent = jnp.einsum("gtk,gfk->gtf", seen, weights, precision=jax.lax.Precision.HIGHEST)
    rows = weights.reshape(groups * filters, window)

    def step(t: Array, carry: tuple[Neurons, Array, Slots]) -> tuple[Neurons, Array, Slots]:
        neurons, trace, slots = carry
        time = t.astype(jnp.float32)
        x = at(seen, t)
        neurons = integrate(c, neurons, time, refractory)
        trace = update_trace(trace, x, c.decay_x)
        slots = _copy_new(slots, neurons.spikes, rows, tiers)
        inputs = jnp.concatenate([x, trace], 1)
        changes = jnp.stack([depress(c, neurons, time), c.potentiation * neurons.spikes])
        slots, currents = _update(slots, inputs, changes.reshape(2, -1), tiers)
        own = currents.at[jnp.maximum(slots.slot, 0)].get(mode="promise_in_bounds")
        current = jnp.where(slots.slot >= 0, own, at(silent, t).reshape(-1))
        return neurons._replace(current=current.reshape(groups, filters)), trace, slots

    carry = (rest(theta), jnp.zeros((groups, window)), _no_slots(groups, filters, window, tiers))
    neurons, _, slots = jax.lax.fori_loop(0, steps, step, carry)
    weights = _copy_back(slots, rows, tiers).reshape(weights.shape)
    return normalise(weights, c.total[:, 0]), neurons.theta, neurons.counts


def _tiers(groups: int, filters: int) -> list[tuple[int, int]]:
    """(first block, number of blocks) of every tier; the number grows with the number of groups."""
    blocks = groups * -(-filters // _BLOCK)
    unit = max(1, groups * 8 // 9)
    sizes = []
    for size in (unit, unit, 2 * unit, 2 * unit, 2 * unit, blocks):
        size = min(size, blocks - sum(sizes))
        if size:
            sizes.append(size)
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return list(zip(starts, sizes, strict=True))


def _no_slots(groups: int, filters: int, window: int, tiers: list[tuple[int, int]]) -> Slots:
    blocks = sum(size for _, size in tiers)
    return Slots(
        weights=tuple(jnp.zeros((size, _BLOCK, window)) for _, size in tiers),
        slot=jnp.full((groups * filters,), -1, jnp.int32),
        neuron=jnp.zeros((blocks * _BLOCK,), jnp.int32),
        group=jnp.zeros((blocks,), jnp.int32),
        open_block=jnp.zeros((groups,), jnp.int32),
        filled=jnp.full((groups,), _BLOCK, jnp.int32),
        blocks=jnp.int32(0),
    )


def _copy_new(slots: Slots, spikes: Array, rows: Array, tiers: list[tuple[int, int]]) -> Slots:
    """Gives a slot to every neuron that spikes for the first time, one after another."""
    filters = spikes.shape[1]

    def pending(carry: tuple[Array, Slots]) -> Array:
        return jnp.any(carry[0])

    def copy_one(carry: tuple[Array, Slots]) -> tuple[Array, Slots]:
        new, s = carry
        neuron = jnp.argmax(new).astype(jnp.int32)
        group = neuron // filters
        full = s.filled[group] >= _BLOCK
        block = jnp.where(full, s.blocks, s.open_block[group])
        place = jnp.where(full, 0, s.filled[group])
        slot = block * _BLOCK + place
        row = jax.lax.dynamic_slice_in_dim(rows, neuron, 1)[None]
        slots = Slots(
            weights=tuple(
                _put_row(tier, row, block - start, place)
                for tier, (start, _) in zip(s.weights, tiers, strict=True)
            ),
            slot=_put(s.slot, neuron, slot),
            neuron=_put(s.neuron, slot, neuron),
            group=_put(s.group, block, group),
            open_block=_put(s.open_block, group, block),
            filled=_put(s.filled, group, place + 1),
            blocks=s.blocks + full.astype(jnp.int32),
        )
        return _put(new, neuron, jnp.bool_(False)), slots

    new = (spikes.reshape(-1) > 0) & (slots.slot < 0)
    return jax.lax.while_loop(pending, copy_one, (new, slots))[1]


def _put(array: Array, index: Array, value: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(array, value[None], index, 0)


def _put_row(tier: Array, row: Array, block: Array, place: Array) -> Array:
    """Writes ``row`` if ``block`` lies in this tier, else writes what is there."""
    inside = (block >= 0) & (block < tier.shape[0])
    where = (jnp.clip(block, 0, tier.shape[0] - 1), place, 0)
    old = jax.lax.dynamic_slice(tier, where, row.shape)
    return jax.lax.dynamic_update_slice(tier, jnp.where(inside, row, old), where)


def _update(
    slots: Slots, inputs: Array, changes: Array, tiers: list[tuple[int, int]]
) -> tuple[Slots, Array]:
    """STDP of the slots and the currents ``[slots]`` through their new weights.

    Args:
      slots: the copies.
      inputs: ``[G, 2 K]``, X's spikes and traces.
      changes: ``[2, G * F]``, depression per spike and potentiation per trace.
      tiers: of the slots.
    """
    window = inputs.shape[1] // 2
    weights, currents = [], []
    for tier, (start, size) in zip(slots.weights, tiers, strict=True):
        groups = slots.group[start : start + size]
        neurons = slots.neuron[start * _BLOCK : (start + size) * _BLOCK]

        def work(w, groups=groups, neurons=neurons, size=size):
            near = inputs.at[groups].get(mode="promise_in_bounds")
            x, trace = near[:, None, :window], near[:, None, window:]
            down, up = (
                changes.at[:, neurons].get(mode="promise_in_bounds").reshape(2, size, _BLOCK, 1)
            )
            w = jnp.clip(w - x * down + trace * up, 0.0, 1.0)
            highest = jax.lax.Precision.HIGHEST
            return w, jnp.einsum("bk,bak->ba", near[:, :window], w, precision=highest)

        def idle(w, size=size):
            return w, jnp.zeros((size, _BLOCK))

        tier, current = jax.lax.cond(slots.blocks > start, work, idle, tier)
        weights.append(tier)
        currents.append(current.reshape(-1))
    return slots._replace(weights=tuple(weights)), jnp.concatenate(currents)


def _copy_back(slots: Slots, rows: Array, tiers: list[tuple[int, int]]) -> Array:
    for tier, (start, size) in zip(slots.weights, tiers, strict=True):
        copies = tier.reshape(size * _BLOCK, -1)

        def put(i, rows, copies=copies, start=start):
            slot = start * _BLOCK + i
            neuron = slots.neuron[slot]
            old = jax.lax.dynamic_slice_in_dim(rows, neuron, 1)
            new = jax.lax.dynamic_slice_in_dim(copies, i, 1)
            in_use = slots.slot[neuron] == slot  # a block's last slots may be free
            return jax.lax.dynamic_update_slice_in_dim(rows, jnp.where(in_use, new, old), neuron, 0)

        used = jnp.clip(slots.blocks - start, 0, size) * _BLOCK
        rows = jax.lax.fori_loop(0, used, put, rows)
    return rows

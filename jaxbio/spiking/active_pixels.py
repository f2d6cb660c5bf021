"""Most pixels of a digit are dark: encoding and currents that touch the others only.

How many pixels are active differs between images and positions, but shapes are static. So programs
are made for a few sizes, and a group of images takes the smallest that holds its fullest image.
Results do not depend on the size.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxbio.ops.encoding import LevelEncoder
from jaxbio.spiking.groups import as_floats

Array = jax.Array

# Sizes as shares of all pixels; an encoder takes long to compile.
_IMAGE_SHARES = (0.3, 0.45)
_WINDOW_SHARES = (0.25, 0.375, 0.5, 0.625, 0.75)


def encode(encoder: LevelEncoder, keys: Array, levels: Array) -> Array:
    """Spike trains of several pictures, as ``encoder.packed`` of each.

    Args:
        encoder: of pictures whose level 0 never spikes.
        keys: ``[B]``.
        levels: ``[B, pixels]``; the fuller the pictures of a group resemble each other the better.

    Returns:
        uint32 ``[B, W, pixels]``.
    """
    pixels = levels.shape[1]
    active = levels > 0
    rank = _rank(active)

    def some(size: int) -> Array:
        places = _first(active, rank, size)
        chosen = jnp.take_along_axis(levels, jnp.minimum(places, pixels - 1), 1)
        chosen = jnp.where(places < pixels, chosen, 0)
        packed = jax.vmap(lambda *one: encoder.packed(*one, pixels))  # type: ignore[call-arg]
        words = packed(keys, chosen, places)
        words = jnp.take_along_axis(words, jnp.minimum(rank, size - 1)[:, None], 2)
        return jnp.where(active[:, None], words, jnp.uint32(0))

    def all_of_them() -> Array:
        return jax.vmap(encoder.packed)(keys, levels)

    return _by_size(active.sum(1).max(), pixels, _IMAGE_SHARES, some, all_of_them)


def currents(xy: Array, windows: Array) -> Array:
    """What the spikes of several images bring to the neurons.

    Args:
        xy: ``[G, K, F]``, weights of groups of neurons that see one window each.
        windows: uint32 ``[G, B, W, K]``, the spikes that each sees as bits, see
            :func:`jaxbio.spiking.groups.see`.

    Returns:
        float32 ``[G, 32 W, B, F]``, mV, of the spikes of each step.
    """
    window = xy.shape[1]
    highest = jax.lax.Precision.HIGHEST

    def of_group(one: tuple[Array, Array]) -> Array:
        seen, weights = one
        active = (seen != 0).any(1)
        rank = _rank(active)

        def some(size: int) -> Array:
            places = _first(active, rank, size)
            inside = jnp.minimum(places, window - 1)
            chosen = jnp.take_along_axis(seen, inside[:, None], 2)
            chosen = jnp.where((places < window)[:, None], chosen, jnp.uint32(0))
            chosen = jax.lax.optimization_barrier(chosen)
            near = weights.at[inside].get(mode="promise_in_bounds")
            brought = jnp.einsum("btk,bkf->btf", as_floats(chosen), near, precision=highest)
            return jnp.swapaxes(brought, 0, 1)

        def all_of_them() -> Array:
            return jnp.einsum("btk,kf->tbf", as_floats(seen), weights, precision=highest)

        needed = active.sum(1).max()
        return _by_size(needed, window, _WINDOW_SHARES, some, all_of_them)

    return jax.lax.map(of_group, (windows, xy))


def _by_size(
    needed: Array,
    available: int,
    shares: tuple[float, ...],
    some: Callable[[int], Array],
    all_of_them: Callable[[], Array],
) -> Array:
    """Runs ``some`` with the smallest size that suffices, or ``all_of_them``."""
    sizes = sorted({math.ceil(share * available) for share in shares})
    tier = sum((needed > size).astype(jnp.int32) for size in sizes)
    branches = [lambda size=size: some(size) for size in sizes]
    return jax.lax.switch(tier, [*branches, all_of_them])


def _rank(active: Array) -> Array:
    """How many active pixels of the row come before each."""
    return jnp.cumsum(active, -1, dtype=jnp.int32) - 1


def _first(active: Array, rank: Array, size: int) -> Array:
    """Numbers of the active pixels of each row ``[B, n]``, in order, then ``n``: ``[B, size]``."""
    rows, n = active.shape
    target = jnp.where(active, rank, size)
    empty = jnp.full((rows, size), n, jnp.int32)
    numbers = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32), active.shape)
    return empty.at[jnp.arange(rows)[:, None], target].set(numbers, mode="drop")

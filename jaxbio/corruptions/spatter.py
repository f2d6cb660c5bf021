"""spatter: drops of water or mud.

Water needs a classical pipeline: Canny edges of the drops, a chamfer distance from them, histogram
equalisation and an embossing filter. All steps are those of OpenCV in integer arithmetic, written
with data-parallel operations.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxbio.corruptions import fields
from jaxbio.corruptions.linear import gaussian_filter

# Mean and spread of the field, its sigma, threshold, strength (mud: sigma of the mask), mud.
SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6, False),
    (0.65, 0.3, 3, 0.68, 0.6, False),
    (0.65, 0.3, 2, 0.68, 0.5, False),
    (0.65, 0.3, 1, 0.65, 1.5, True),
    (0.67, 0.4, 1, 0.65, 1.5, True),
)
_WATER, _MUD = (175.0, 238.0, 238.0), (63.0, 42.0, 20.0)
_CAP = 20  # distances above count as this
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


def draw_spatter(words: Array, x: Array, severity: int) -> Array:
    """The liquid's normal field, ``[B, H, W]``."""
    mean, spread, *_ = SPATTER[severity - 1]
    return mean + spread * fields.normal(words, 0, x.shape[1:3])


def spatter(x: Array, severity: int, field: Array) -> Array:
    """Drops where a smoothed noise field is high: shaded water (1-3) or opaque mud (4, 5)."""
    _, _, sigma, threshold, strength, mud = SPATTER[severity - 1]
    liquid = gaussian_filter(field[..., None], sigma)[..., 0]
    liquid = jnp.where(liquid < threshold, 0.0, liquid)
    if mud:
        mask = (liquid > threshold).astype(jnp.float32)
        mask = gaussian_filter(mask[..., None], strength)
        mask = jnp.where(mask < 0.8, 0.0, mask)
        return x * (1 - mask) + mask * jnp.asarray(_MUD).reshape(1, 1, 1, 3)
    shade = _shading(jnp.floor(liquid * 255.0).astype(jnp.int32)).astype(jnp.float32)
    wet = liquid * shade
    peak = wet.max((1, 2), keepdims=True)
    wet = wet / jnp.where(peak > 0, peak, 1.0) * strength
    return x + wet[..., None] * jnp.asarray(_WATER).reshape(1, 1, 1, 3)


def _shading(image: Array) -> Array:
    """Relief of drops: ``[B, H, W]`` int32 in 0..255 to the same."""
    distance = edge_distance(canny(image, 50, 150))
    smooth = _sum3(distance) // (9 << 16)
    relief = _filter3(equalise(smooth), _EMBOSS)
    return (_sum3(jnp.clip(relief, 0, 255)) * 2 + 9) // 18  # rounded mean of nine


def _filter3(image: Array, weights: tuple, mode: str = "reflect") -> Array:
    """Correlation with a 3 x 3 kernel of integers."""
    _, height, width = image.shape
    padded = lax.optimization_barrier(jnp.pad(image, ((0, 0), (1, 1), (1, 1)), mode=mode))
    return sum(
        weight * padded[:, i : i + height, j : j + width]
        for i, row in enumerate(weights)
        for j, weight in enumerate(row)
        if weight
    )


def _sum3(image: Array) -> Array:
    return _filter3(image, ((1,) * 3,) * 3)


def _neighbour(image: Array, dy: int, dx: int, outside: int | bool) -> Array:
    """``image`` at (row + dy, column + dx)."""
    pads = ((0, 0, 0), (-dy, dy, 0), (-dx, dx, 0))
    return lax.pad(image, jnp.asarray(outside, image.dtype), pads)


def canny(image: Array, low: int, high: int) -> Array:
    """Canny edges of ``[B, H, W]`` int32 in 0..255 (Sobel 3 x 3, L1 norm), bool."""
    gx = _filter3(image, ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)), "edge")
    gy = _filter3(image, ((-1, -2, -1), (0, 0, 0), (1, 2, 1)), "edge")
    ax, ay = jnp.abs(gx), jnp.abs(gy)
    norm = lax.optimization_barrier(ax + ay)

    def at(dy: int, dx: int) -> Array:
        return _neighbour(norm, dy, dx, 0)

    # tan 22.5 degrees in 15 bits; tan 67.5 = tan 22.5 + 2.
    slope = ax * 13573
    flat, steep = (ay << 15) < slope, (ay << 15) > slope + (ax << 16)
    across = (norm > at(0, -1)) & (norm >= at(0, 1))
    along = (norm > at(-1, 0)) & (norm >= at(1, 0))
    falling = (norm > at(-1, -1)) & (norm > at(1, 1))
    rising = (norm > at(-1, 1)) & (norm > at(1, -1))
    diagonal = jnp.where((gx ^ gy) < 0, rising, falling)
    peak = jnp.where(flat, across, jnp.where(steep, along, diagonal))
    weak = lax.optimization_barrier(peak & (norm > low))

    def grow(state: tuple[Array, Any]) -> tuple[Array, Any]:
        edges, _ = state
        grown = edges
        for _ in range(4):
            rows = grown | _neighbour(grown, -1, 0, False) | _neighbour(grown, 1, 0, False)
            grown = weak & (rows | _neighbour(rows, 0, -1, False) | _neighbour(rows, 0, 1, False))
            grown = lax.optimization_barrier(grown)
        return grown, jnp.any(grown != edges)

    return lax.while_loop(lambda state: state[1], grow, (weak & (norm > high), True))[0]


def edge_distance(edges: Array) -> Array:
    """Chamfer distance (1, 1.4, 2.1969 for steps to 5 x 5) to the nearest edge, at most 20.

    A shortest path may take its steps in any order: those along a row are done first, for all rows
    at once; the others go down (or up) and are done by one scan over the rows.

    Returns:
        ``[B, H, W]`` int32 in units of 2**-16.
    """
    one, diagonal, knight = (round(length * 2**16) for length in (1, 1.4, 2.1969))
    cap = _CAP * one
    _, _, width = edges.shape
    far = jnp.pad(edges, ((0, 0), (0, 0), (_CAP, _CAP)))
    nearest = jnp.full(edges.shape, cap)
    for steps in range(-_CAP + 1, _CAP):
        there = far[:, :, _CAP + steps : _CAP + steps + width]
        nearest = jnp.where(there, jnp.minimum(nearest, abs(steps) * one), nearest)

    def row(above: tuple[Array, Array], here: Array) -> tuple[tuple[Array, Array], Array]:
        def at(row: Array, dx: int) -> Array:
            return row[:, 2 + dx : 2 + dx + width]

        last, before = above
        here = jnp.minimum(here, at(last, 0) + one)
        for dx in (-1, 1):
            here = jnp.minimum(here, at(last, dx) + diagonal)
            here = jnp.minimum(here, at(last, 2 * dx) + knight)
            here = jnp.minimum(here, at(before, dx) + knight)
        return (jnp.pad(here, ((0, 0), (2, 2)), constant_values=cap), last), here

    both = jnp.concatenate([nearest, nearest[:, ::-1]]).transpose(1, 0, 2)
    outside = jnp.full((both.shape[1], width + 4), cap)
    _, both = lax.scan(row, (outside, outside), both)
    down, up = jnp.split(both.transpose(1, 0, 2), 2)
    return jnp.minimum(down, up[:, ::-1])


def equalise(image: Array) -> Array:
    """Histogram equalisation of ``[B, H, W]`` int32 in 0..20 to 0..255."""
    total = image.shape[1] * image.shape[2]

    def one(image: Array) -> Array:
        flat = image.reshape(-1)
        counts = jnp.zeros(_CAP + 1, jnp.int32).at[flat].add(1, mode="promise_in_bounds")
        below = jnp.cumsum(counts)
        first = below[image.min()]
        scale = 255.0 / jnp.maximum(total - first, 1).astype(jnp.float32)
        table = jnp.round((below - first).astype(jnp.float32) * scale).astype(jnp.int32)
        # A constant image stays as it is.
        table = jnp.where(first == total, jnp.arange(_CAP + 1), table)
        return table.at[image].get(mode="promise_in_bounds")

    return jax.vmap(one)(image)

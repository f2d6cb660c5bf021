"""Stimuli of visual physiology in degrees of visual angle: gratings, plaids, fields, sparse noise.

Pictures are grey levels, uint8, on a mid-grey ground of 128. Of a picture ``size`` pixels wide that
shows ``degrees``, pixel i lies at ``(i - size / 2) * degrees / size`` degrees, x to the right and y
down. They are made on the device from their parameters, in float64 wherever the caller stands (the
published pictures are cut to integers, so single precision would miss pixels), and every function
is jit-able with static ``size`` and ``degrees``.

A grating is seven numbers, in the order of :data:`FIELDS`, in degrees, cycles per degree and
degrees of angle.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError

GREY = 128
FIELDS = ("y", "x", "contrast", "radius", "spatial_frequency", "orientation", "phase")


def _float64(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    compiled = jax.jit(function, static_argnames=("size", "degrees"))

    @functools.wraps(function)
    def wrapped(*args: Any, size: int, degrees: float) -> jax.Array:
        if size < 1 or not degrees > 0:
            raise InputError(f"size={size}, degrees={degrees}: must be 1 or more, and above 0")
        with jax.enable_x64(True):
            return compiled(*args, size=size, degrees=float(degrees))

    return wrapped


@_float64
def gratings(parameters: jax.Array | np.ndarray, *, size: int, degrees: float) -> jax.Array:
    """Sinusoidal gratings, each in a disc.

    Grey level ``255 (sin(2 pi sf (x cos o + y sin o) + phase) contrast + 1) / 2``, cut to an
    integer, within ``radius`` of the position; x and y count from the position.

    Args:
        parameters: ``[N, 7]``, columns as in :data:`FIELDS`.
        size: side of the pictures in pixels.
        degrees: what the side shows.

    Returns:
        uint8 ``[N, size, size]``.

    Raises:
        InputError: if ``size`` or ``degrees`` is not positive.

    Reference:
        Marques, Schrimpf and DiCarlo 2021, "Multi-scale hierarchical neural network models that
        bridge from single neurons in the primate primary visual cortex to object recognition
        behavior", doi:10.1101/2021.03.01.433495.

    Example:
        >>> gratings(jnp.array([[0, 0, 1, 1, 2, 45, 90.0]]), size=64, degrees=4).shape
        (1, 64, 64)
    """
    rows = jnp.asarray(parameters, jnp.float64)
    inside = _squared_distance(rows, size, degrees) <= _column(rows, 3) ** 2
    return _levels(_wave(rows, size, degrees), inside)


@_float64
def annuli(
    parameters: jax.Array, inner_radius: jax.Array, *, size: int, degrees: float
) -> jax.Array:
    """Gratings in rings: those of :func:`gratings` from the inner radius outwards.

    Args:
        parameters: ``[N, 7]``, see :func:`gratings`; ``radius`` is the outer one.
        inner_radius: ``[N]``, degrees; what is nearer to the position is grey.
        size: see :func:`gratings`.
        degrees: see :func:`gratings`.

    Returns:
        uint8 ``[N, size, size]``.
    """
    parameters = parameters.astype(jnp.float64)
    squared = _squared_distance(parameters, size, degrees)
    inner = inner_radius.astype(jnp.float64).reshape(-1, 1, 1)
    inside = (squared <= _column(parameters, 3) ** 2) & (squared > inner**2)
    return _levels(_wave(parameters, size, degrees), inside)


@_float64
def plaids(first: jax.Array, second: jax.Array, *, size: int, degrees: float) -> jax.Array:
    """Two gratings on top of each other: their modulations of the ground add up.

    Args:
        first: ``[N, 7]``, see :func:`gratings`.
        second: likewise; contrasts that add up to more than 1 are clipped at black and white.
        size: see :func:`gratings`.
        degrees: see :func:`gratings`.

    Returns:
        uint8 ``[N, size, size]``.
    """
    waves: Any
    inside: Any
    waves = inside = 0
    for parameters in (first.astype(jnp.float64), second.astype(jnp.float64)):
        disc = _squared_distance(parameters, size, degrees) <= _column(parameters, 3) ** 2
        waves += disc * _wave(parameters, size, degrees)
        inside |= disc
    return _levels(waves, inside)


def full_fields(levels: jax.Array, *, size: int) -> jax.Array:
    """Even pictures, uint8 ``[N, size, size]``, of grey levels ``[N]`` from 0 to 255."""
    return jnp.broadcast_to(levels.astype(jnp.uint8).reshape(-1, 1, 1), (len(levels), size, size))


def sparse_noise(
    key: jax.Array, frames: int, *, spots: int, spot_degrees: float, size: int, degrees: float
) -> jax.Array:
    """Frames of a few black and white squares at random cells of a lattice, for mapping fields.

    Args:
        key: a random key.
        frames: number of pictures.
        spots: squares in each, at different cells; half of them white on average.
        spot_degrees: side of the squares, rounded to whole pixels.
        size: see :func:`gratings`.
        degrees: see :func:`gratings`.

    Returns:
        uint8 ``[frames, size, size]``.

    Raises:
        InputError: if a square is no pixel wide, or there are more spots than cells.
    """
    side = round(spot_degrees * size / degrees)
    cells = size // side if side else 0
    if not 1 <= spots <= cells**2:
        raise InputError(
            f"spots={spots} of spot_degrees={spot_degrees}: {cells}x{cells} such squares fit into "
            f"{size} pixels for {degrees} degrees; between 1 and {cells**2} spots are possible"
        )
    where, what = jax.random.split(key)
    order = jnp.argsort(jax.random.uniform(where, (frames, cells**2)), axis=1)
    colours = jnp.where(jax.random.bernoulli(what, shape=(frames, cells**2)), 255, 0)
    lattice = jnp.where(order < spots, colours, GREY).astype(jnp.uint8)
    lattice = lattice.reshape(frames, cells, cells)
    spare = size - cells * side
    edge = (spare // 2, spare - spare // 2)
    squares = lattice.repeat(side, axis=1).repeat(side, axis=2)
    return jnp.pad(squares, ((0, 0), edge, edge), constant_values=GREY)


@functools.partial(jax.jit, static_argnames=("degrees", "view_degrees", "size"))
def place(images: jax.Array, *, degrees: float, view_degrees: float, size: int) -> jax.Array:
    """Puts pictures on a model's field of view: cropped or padded with grey, then resized.

    Args:
        images: uint8 ``[N, S, S]`` or ``[N, S, S, 3]``.
        degrees: what their side shows.
        view_degrees: what the model's side shows.
        size: of the model's input, pixels.

    Returns:
        uint8 ``[N, size, size, 3]``; resized bilinearly with antialiasing.

    Raises:
        InputError: if the images are not square.
    """
    if images.ndim not in (3, 4) or images.shape[1] != images.shape[2]:
        raise InputError(f"images are {tuple(images.shape)}: give [N, S, S] or [N, S, S, 3]")
    if images.ndim == 3:
        images = images[..., None]
    have = images.shape[1]
    wanted = max(1, round(have * view_degrees / degrees))
    before = (wanted - have) // 2
    edge = (before, wanted - have - before, 0)
    images = jax.lax.pad(images, np.uint8(GREY), ((0, 0, 0), edge, edge, (0, 0, 0)))
    if wanted != size:
        shape = (len(images), size, size, images.shape[-1])
        resized = jax.image.resize(images.astype(jnp.float32), shape, "linear")
        images = jnp.clip(jnp.round(resized), 0, 255).astype(jnp.uint8)
    return jnp.broadcast_to(images, (*images.shape[:3], 3))


def _column(parameters: jax.Array, index: int) -> jax.Array:
    return parameters[:, index].reshape(-1, 1, 1)


def _axes(parameters: jax.Array, size: int, degrees: float) -> tuple[jax.Array, jax.Array]:
    """Coordinates of columns and of rows, each ``[N, size]``, from the gratings' positions."""
    axis = ((jnp.arange(size) - size / 2) / (size / degrees)).reshape(1, -1)
    return axis - parameters[:, 1:2], axis - parameters[:, 0:1]


def _squared_distance(parameters: jax.Array, size: int, degrees: float) -> jax.Array:
    x, y = _axes(parameters, size, degrees)
    return x[:, None, :] ** 2 + y[:, :, None] ** 2


def _wave(parameters: jax.Array, size: int, degrees: float) -> jax.Array:
    """The modulation, -contrast..contrast, ``[N, size, size]``."""
    x, y = _axes(parameters, size, degrees)
    contrast, frequency = parameters[:, 2:3], parameters[:, 4:5]
    orientation, phase = jnp.deg2rad(parameters[:, 5:6]), jnp.deg2rad(parameters[:, 6:7])
    across = 2 * jnp.pi * frequency * jnp.cos(orientation) * x + phase
    down = 2 * jnp.pi * frequency * jnp.sin(orientation) * y
    # sin(a + b) as a product of rank two: a sine per row and column instead of one per pixel.
    of_column = jnp.stack([jnp.sin(across), jnp.cos(across)], 1)
    of_row = jnp.stack([jnp.cos(down), jnp.sin(down)], 1)
    return contrast[:, :, None] * jnp.einsum("nkr,nkc->nrc", of_row, of_column)


def _levels(wave: jax.Array, inside: jax.Array) -> jax.Array:
    levels = jnp.clip(jnp.floor(255 * (wave + 1) / 2), 0, 255)
    return jnp.where(inside, levels, GREY).astype(jnp.uint8)

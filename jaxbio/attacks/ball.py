"""The sets that attacked images stay in: balls around the images, cut by the box [0, 1].

Batches are ``[N, ...]`` float32 and have one epsilon per image, ``[N]``. Projections are exact
(nearest point of ball and box together), and what they return is inside the ball in exact
arithmetic: rounding never carries an image over the edge.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxbio.errors import InputError

NORMS = ("linf", "l2", "l1")
# Relative; covers the rounding of a square, a root, a quotient and a product.
_MARGIN = 1.0 - 2.0**-21
_BISECTIONS = 26
_CLIPPING_ROUNDS = 6


def largest(shape: tuple[int, ...], norm: str) -> float:
    """The distance of two opposite corners of the box, for images of a shape."""
    size = math.prod(shape)
    return {"linf": 1.0, "l2": size**0.5, "l1": float(size)}[norm]


def epsilons(epsilon: ArrayLike, images: Array | np.ndarray, norm: str) -> Array:
    """Radii as ``[N]`` float32, a Python number rounded towards 0.

    Args:
        epsilon: a number or ``[N]``; L-inf up to 1, L2 up to sqrt(D), L1 up to D, where D is the
            number of values of an image: more than that is the whole box.
        images: ``[N, ...]``.
        norm: one of ``NORMS``.

    Raises:
        InputError: not a number, negative, beyond the box (where its value is known: not inside
            ``jit``), or of another length.
    """
    most = largest(images.shape[1:], norm)
    if not isinstance(epsilon, jax.core.Tracer):
        value = np.asarray(epsilon, np.float64)
        if not np.all((value >= 0) & (value <= most)):
            raise InputError(
                f"epsilon={epsilon}: {norm} distances of images of shape {images.shape[1:]} in "
                f"[0, 1] lie in 0..{most:g} (8/255, not 8)"
            )
        rounded = value.astype(np.float32)
        epsilon = np.where(rounded > value, np.nextafter(rounded, np.float32(0)), rounded)
    epsilon = jnp.asarray(epsilon, jnp.float32)
    if epsilon.shape not in ((), (len(images),)):
        raise InputError(
            f"epsilon has shape {epsilon.shape}: pass a number or {len(images)} of them"
        )
    return jnp.broadcast_to(epsilon, (len(images),))


def random_start(keys: Array, images: Array, epsilon: Array, norm: str) -> Array:
    """Images moved by uniform draws from their balls, then projected.

    Args:
        keys: ``[N]``, one per image.
        images: ``[N, ...]`` in [0, 1].
        epsilon: ``[N]``.
        norm: one of ``NORMS``.
    """
    size = math.prod(images.shape[1:])

    def draw(key: Array) -> Array:  # in one row: a program for several axes takes long to compile
        if norm == "linf":
            return jax.random.uniform(key, (size,), minval=-1.0, maxval=1.0)
        first, second = jax.random.split(key)
        if norm == "l2":
            normal = jax.random.normal(first, (size,))
            radius = jax.random.uniform(second) ** (1.0 / size)
            return normal * (radius / jnp.sqrt(jnp.square(normal).sum()))
        # Spacings of sorted uniform numbers are exponential ones over their sum.
        parts = jax.random.exponential(first, (size + 1,))
        signs = jax.random.rademacher(second, (size,), jnp.float32)
        return parts[:-1] * signs / parts.sum()

    drawn = jax.vmap(draw)(keys).reshape(images.shape)
    moved = images + per_image(epsilon, images) * drawn
    return project(moved, images, epsilon, norm)


def direction(gradient: Array, x: Array, norm: str, quantile: float = 0.0) -> Array:
    """The step of length 1 along a gradient; 0 where the gradient is 0 or not finite.

    Args:
        gradient: ``[N, ...]``.
        x: where it was taken, ``[N, ...]`` in [0, 1].
        norm: ``linf`` gives signs, ``l2`` and ``l1`` the gradient over its norm.
        quantile: for ``l1``, above 0: only values whose gradient is that high among the image's
            move, all as far, and none that lies at the box's edge already (Tramèr & Boneh 2019).
    """
    gradient = jnp.where(jnp.isfinite(gradient), gradient, 0.0)
    if norm == "linf":
        return jnp.sign(gradient)
    if norm == "l1" and quantile > 0:
        stuck = ((x <= 0) & (gradient < 0)) | ((x >= 1) & (gradient > 0))
        size = jnp.where(stuck, 0.0, jnp.abs(gradient))
        least = jnp.quantile(size.reshape(len(x), -1), quantile, axis=1)
        gradient = jnp.where((size >= per_image(least, x)) & (size > 0), jnp.sign(gradient), 0.0)
    # Gradients of confident networks are small: their squares would be 0.
    axes = tuple(range(1, gradient.ndim))
    largest = jnp.abs(gradient).max(axes)
    gradient = gradient / per_image(jnp.where(largest > 0, largest, 1.0), x)
    length = jnp.abs(gradient).sum(axes) if norm == "l1" else _euclid(gradient)
    return gradient / per_image(jnp.where(length > 0, length, 1.0), x)


def project(x: Array, images: Array, epsilon: Array, norm: str) -> Array:
    """The nearest images within ``epsilon`` of ``images`` and within [0, 1].

    Args:
        x: ``[N, ...]``.
        images: ``[N, ...]`` in [0, 1].
        epsilon: ``[N]``, 0 or more.
        norm: one of ``NORMS``.
    """
    if norm == "linf":
        radius = jnp.broadcast_to(per_image(epsilon, images), images.shape)
        return jnp.clip(
            x,
            jnp.maximum(_move(images, -radius), 0.0),
            jnp.minimum(_move(images, radius), 1.0),
        )
    d = x - images
    inside = _shrink_l2 if norm == "l2" else _shrink_l1
    d = inside(d, -images, 1.0 - images, epsilon)
    length = _exact_sum(jnp.abs(d) if norm == "l1" else jnp.square(d))
    length = length if norm == "l1" else jnp.sqrt(length)
    scale = jnp.minimum(1.0, epsilon * _MARGIN / jnp.where(length > 0, length, 1.0))
    return jnp.clip(_move(images, d * per_image(scale, images)), 0.0, 1.0)


def _shrink_l2(d: Array, low: Array, high: Array, epsilon: Array) -> Array:
    """``clip(c d, low, high)`` with the largest c up to 1 whose norm is at most epsilon.

    What the box cuts off is given to the other values, until nothing more is cut: c grows from
    the inside.
    """
    axes = tuple(range(1, d.ndim))
    norm = _euclid(d)
    scale = jnp.minimum(1.0, epsilon / jnp.where(norm > 0, norm, 1.0))

    def grow(scale: Array, _: None) -> tuple[Array, None]:
        scaled = d * per_image(scale, d)
        clipped = jnp.clip(scaled, low, high)
        free = clipped == scaled
        cut = jnp.where(free, 0.0, jnp.square(clipped)).sum(axes)
        rest = jnp.where(free, jnp.square(d), 0.0).sum(axes)
        grown = jnp.sqrt(
            jnp.maximum(jnp.square(epsilon) - cut, 0.0) / jnp.where(rest > 0, rest, 1.0)
        )
        return jnp.where(rest > 0, jnp.clip(grown, scale, 1.0), scale), None

    scale, _ = lax.scan(grow, scale, None, length=_CLIPPING_ROUNDS)
    return jnp.clip(d * per_image(scale, d), low, high)


def _shrink_l1(d: Array, low: Array, high: Array, epsilon: Array) -> Array:
    """``clip(soft(d, t), low, high)`` with the least threshold t whose norm is at most epsilon."""
    axes = tuple(range(1, d.ndim))
    size, room = jnp.abs(d), jnp.where(d > 0, high, -low)

    def lengths(threshold: Array) -> Array:
        return jnp.minimum(jnp.maximum(size - per_image(threshold, d), 0.0), room)

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        below, above = bounds
        middle = (below + above) / 2
        outside = lengths(middle).sum(axes) > epsilon
        return (jnp.where(outside, middle, below), jnp.where(outside, above, middle)), None

    none = jnp.zeros_like(epsilon)
    (_, threshold), _ = lax.scan(halve, (none, size.max(axes)), None, length=_BISECTIONS)
    outside = lengths(none).sum(axes) > epsilon
    length = lengths(jnp.where(outside, threshold, 0.0))
    # What is left where thresholds next to each other in float32 are far apart.
    free = (length > 0) & (length < room)
    left = jnp.where(outside, epsilon - length.sum(axes), 0.0)
    share = jnp.maximum(left, 0.0) / jnp.maximum(free.sum(axes), 1)
    length = jnp.where(free, jnp.minimum(length + per_image(share, d), room), length)
    return jnp.sign(d) * length


def _move(images: Array, d: Array) -> Array:
    """``images + d``, rounded so that no value moves further than its ``d``."""
    moved = images + d
    part = moved - images
    error = (images - (moved - part)) + (d - part)  # of the sum, exactly (Knuth)
    further = jnp.sign(error) * jnp.sign(d) < 0
    return jnp.where(further, jnp.nextafter(moved, images), moved)


def _exact_sum(x: Array) -> Array:
    """Sums ``[N, ...]`` to ``[N]`` in twice the precision, rounded once."""

    def add(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
        total = a[0] + b[0]
        part = total - a[0]
        error = (a[0] - (total - part)) + (b[0] - part)
        return total, a[1] + b[1] + error

    zero = jnp.zeros((), x.dtype)
    total, rest = lax.reduce(
        (x, jnp.zeros_like(x)), (zero, zero), add, dimensions=tuple(range(1, x.ndim))
    )
    return total + rest


def _euclid(x: Array) -> Array:
    return jnp.sqrt(jnp.square(x).sum(tuple(range(1, x.ndim))))


def per_image(values: Array, images: Array) -> Array:
    """Values ``[N]`` as they combine with images ``[N, ...]``."""
    return values.reshape(-1, *[1] * (images.ndim - 1))

"""RandAugment with timm's "increasing" operations, compiled: every operation on a whole batch.

An image goes through a few layers; in each, one of fifteen operations happens with probability one
half. Under ``vmap`` a choice computes all its branches, so the operations are brought down to four:
one affine warp, one table of 256 grey levels per channel, one blend with the grey image, one with
the smoothed image, whose parameters leave an image alone where another operation was drawn.
"""

import functools

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError

OPERATIONS = (
    "auto_contrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "solarize_add",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
MAX_MAGNITUDE = 10
_PROBABILITY = 0.5
_GREY = (0.299, 0.587, 0.114)  # PIL's luminance


@functools.partial(jax.jit, static_argnames=("layers", "magnitude", "std", "fill"))
def rand_augment(
    images: jax.Array,
    keys: jax.Array,
    *,
    layers: int = 2,
    magnitude: float = 9.0,
    std: float = 0.5,
    fill: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> jax.Array:
    """Applies randomly chosen operations; a pure function of image and key.

    The defaults are timm's ``rand-m9-mstd0.5-inc1``: per layer an operation, uniform in
    :data:`OPERATIONS`, happens with probability 1/2 and a strength that is normal, cut to 0..10.
    Interpolation is bilinear.

    Args:
        images: ``[B, H, W, 3]`` uint8.
        keys: one per image, ``[B]``.
        layers: operations per image.
        magnitude: mean strength, 0..10.
        std: standard deviation of the strength.
        fill: grey level, 0..1 per channel, of what comes in from outside the image.

    Returns:
        ``[B, H, W, 3]`` uint8.

    Raises:
        InputError: images of another shape or dtype.

    Reference:
        Cubuk et al. 2019, "RandAugment", arXiv:1909.13719.
    """
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != jnp.uint8:
        raise InputError(
            f"images {images.dtype} {images.shape}: RandAugment needs uint8 [B, H, W, 3]"
        )

    def augment(image: jax.Array, key: jax.Array) -> jax.Array:
        choice, happens, strength, sign = jax.random.split(key, 4)
        operation = jax.random.randint(choice, (), 0, len(OPERATIONS))
        operation = jnp.where(jax.random.uniform(happens) < _PROBABILITY, operation, -1)
        level = jnp.clip(magnitude + std * jax.random.normal(strength), 0, MAX_MAGNITUDE)
        negative = jax.random.uniform(sign) < 0.5
        return apply_operation(image, operation, level / MAX_MAGNITUDE, negative, fill)

    def layer(images: jax.Array, number: jax.Array):
        return jax.vmap(augment)(
            images, jax.vmap(jax.random.fold_in, (0, None))(keys, number)
        ), None

    return jax.lax.scan(layer, images, jnp.arange(layers))[0]


def apply_operation(
    image: jax.Array,
    operation: jax.Array,
    level: jax.Array,
    negative: jax.Array,
    fill: tuple[float, float, float],
) -> jax.Array:
    """One operation on one image.

    Args:
        image: ``[H, W, 3]`` uint8.
        operation: index into :data:`OPERATIONS`, or -1 for none.
        level: strength in 0..1.
        negative: turns the direction of operations that have two.
        fill: as for :func:`rand_augment`.

    Returns:
        ``[H, W, 3]`` uint8.
    """
    signed = jnp.where(negative, -level, level)
    factor = jnp.maximum(0.1, 1 + 0.9 * signed)

    def drawn(name: str) -> jax.Array:
        return operation == OPERATIONS.index(name)

    x = image.astype(jnp.float32)
    grey = _luminance(x)
    tables = _tables(image, grey, level, factor, drawn)
    looked_up = jnp.stack([jnp.take(tables[:, c], image[..., c]) for c in range(3)], -1)
    result = looked_up.astype(jnp.float32)
    result = jnp.where(drawn("color"), _blend(grey[..., None], x, factor), result)
    result = jnp.where(drawn("sharpness"), _blend(_smoothed(x), x, factor), result)
    warps = jnp.stack([drawn(n) for n in ("rotate", "shear_x", "shear_y")])
    warps = jnp.any(warps) | drawn("translate_x") | drawn("translate_y")
    warped = _warp(x, *_affine(image.shape, signed, drawn), fill)
    return jnp.round(jnp.where(warps, warped, result)).astype(jnp.uint8)


def _luminance(x: jax.Array) -> jax.Array:
    """Whole grey levels ``[H, W]``."""
    weighted = x[..., 0] * _GREY[0] + x[..., 1] * _GREY[1] + x[..., 2] * _GREY[2]
    return jnp.floor(weighted + 0.5)


def _blend(degenerate: jax.Array, x: jax.Array, factor: jax.Array) -> jax.Array:
    return jnp.floor(jnp.clip(degenerate + factor * (x - degenerate), 0, 255))


def _tables(image, grey, level, factor, drawn) -> jax.Array:
    """What becomes of each grey level of each channel, ``[256, 3]`` int32."""
    levels = jnp.arange(256)
    bits = 4 - jnp.floor(4 * level).astype(jnp.int32)
    threshold = 256 - jnp.floor(256 * level).astype(jnp.int32)
    added = jnp.minimum(255, levels + jnp.floor(110 * level).astype(jnp.int32))
    mean = jnp.floor(jnp.mean(grey) + 0.5)
    alike = {  # for all channels
        "invert": 255 - levels,
        "posterize": (levels >> (8 - bits)) << (8 - bits),
        "solarize": jnp.where(levels < threshold, levels, 255 - levels),
        "solarize_add": jnp.where(levels < 128, added, levels),
        "contrast": _blend(mean, levels.astype(jnp.float32), factor),
        "brightness": _blend(jnp.float32(0), levels.astype(jnp.float32), factor),
    }
    table = levels
    for name, values in alike.items():
        table = jnp.where(drawn(name), values.astype(jnp.int32), table)
    tables = jnp.broadcast_to(table[:, None], (256, 3))
    channels = image.reshape(-1, 3).astype(jnp.int32)
    counts = jnp.zeros((256, 3), jnp.int32).at[channels, jnp.arange(3)[None, :]].add(1)
    tables = jnp.where(drawn("auto_contrast"), _auto_contrast(counts), tables)
    return jnp.where(drawn("equalize"), _equalize(counts), tables)


def _auto_contrast(counts: jax.Array) -> jax.Array:
    """Stretches each channel to 0..255."""
    levels = jnp.arange(256)[:, None]
    low = jnp.argmax(counts > 0, 0)[None, :]
    high = 255 - jnp.argmax(counts[::-1] > 0, 0)[None, :]
    # In whole numbers: what a quotient is rounded to must not depend on the machine.
    stretched = jnp.clip((levels - low) * 255 // jnp.maximum(high - low, 1), 0, 255)
    return jnp.where(high > low, stretched, levels)


def _equalize(counts: jax.Array) -> jax.Array:
    """Spreads each channel's grey levels evenly, as PIL does."""
    levels = jnp.arange(256)[:, None]
    high = 255 - jnp.argmax(counts[::-1] > 0, 0)[None, :]
    of_highest = jnp.take_along_axis(counts, high, 0)
    step = (jnp.sum(counts, 0, keepdims=True) - of_highest) // 255
    below = jnp.cumsum(counts, 0) - counts
    spread = jnp.clip((step // 2 + below) // jnp.maximum(step, 1), 0, 255)
    return jnp.where(step > 0, spread, levels)


def _smoothed(x: jax.Array) -> jax.Array:
    """PIL's SMOOTH filter: weight 5 in the middle, 1 around it; the border stays."""
    rows = x[:-2] + x[1:-1] + x[2:]
    around = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    inner = jnp.floor((around + 4 * x[1:-1, 1:-1]) / 13 + 0.5)
    return x.at[1:-1, 1:-1].set(inner)


def _affine(shape, signed, drawn) -> tuple[jax.Array, jax.Array]:
    """Where an output pixel reads its input: ``matrix @ (x, y) + offset``, in pixels."""
    height, width = shape[:2]
    centre = jnp.array([width / 2, height / 2])
    angle = jnp.where(drawn("rotate"), -jnp.deg2rad(30 * signed), 0.0)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    turn = jnp.stack([jnp.stack([cos, sin]), jnp.stack([-sin, cos])])
    shear_x = jnp.where(drawn("shear_x"), 0.3 * signed, 0.0)
    shear_y = jnp.where(drawn("shear_y"), 0.3 * signed, 0.0)
    one = jnp.ones(())
    shear = jnp.stack([jnp.stack([one, shear_x]), jnp.stack([shear_y, one])])
    matrix = jnp.matmul(turn, shear, precision="highest")
    offset = centre - jnp.matmul(turn, centre, precision="highest")
    shift = 0.45 * signed * jnp.array([width, height], jnp.float32)
    shift *= jnp.stack([drawn("translate_x"), drawn("translate_y")])
    return matrix, offset + shift


def _warp(x: jax.Array, matrix: jax.Array, offset: jax.Array, fill) -> jax.Array:
    """Bilinear samples; ``fill`` where a sample lies outside the image."""
    height, width = x.shape[:2]
    rows, columns = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    grid = jnp.stack([columns, rows]).reshape(2, -1) + 0.5
    at_x, at_y = jnp.matmul(matrix, grid, precision="highest") + offset[:, None]
    inside = (at_x >= 0) & (at_x < width) & (at_y >= 0) & (at_y < height)
    at_x, at_y = at_x - 0.5, at_y - 0.5
    left, top = jnp.floor(at_x), jnp.floor(at_y)
    share_x, share_y = (at_x - left)[:, None], (at_y - top)[:, None]

    def pixel(row: jax.Array, column: jax.Array) -> jax.Array:
        row = jnp.clip(row.astype(jnp.int32), 0, height - 1)
        return x[row, jnp.clip(column.astype(jnp.int32), 0, width - 1)]

    upper = pixel(top, left) * (1 - share_x) + pixel(top, left + 1) * share_x
    lower = pixel(top + 1, left) * (1 - share_x) + pixel(top + 1, left + 1) * share_x
    mixed = upper * (1 - share_y) + lower * share_y
    outside = jnp.round(255 * jnp.asarray(fill, jnp.float32)).reshape(1, 3)
    return jnp.where(inside[:, None], mixed, outside).reshape(x.shape)

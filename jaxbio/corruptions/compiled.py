"""The entry point: checks, keys, dtypes, and the registry of the 19 corruptions."""

import functools
import math
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxbio.corruptions import blur, digital, fields, jpeg, noise, spatter, weather
from jaxbio.corruptions.names import check_name, check_protocol, check_severity

MIN_SIZE = 32
# Sums that are whole in exact arithmetic must not fall below through float32 rounding, which is
# at most about this much of a grey level; results are truncated.
_ROUNDING = 2.0**-13


class Corruption(NamedTuple):
    """``apply(x, severity[, field])`` on ``[B, H, W, C]`` float32 in 0..255; not yet clipped.

    ``draw(words, x, severity)`` gives the random field; None for deterministic corruptions.
    """

    apply: Callable[..., Array]
    draw: Callable[[Array, Array, int], Any] | None = None


CORRUPTIONS = {
    "gaussian_noise": Corruption(noise.gaussian_noise, noise.draw_gaussian_noise),
    "shot_noise": Corruption(noise.shot_noise, noise.draw_shot_noise),
    "impulse_noise": Corruption(noise.impulse_noise, noise.draw_impulse_noise),
    "defocus_blur": Corruption(blur.defocus_blur),
    "glass_blur": Corruption(blur.glass_blur, blur.draw_glass_blur),
    "motion_blur": Corruption(blur.motion_blur, blur.draw_motion_blur),
    "zoom_blur": Corruption(blur.zoom_blur),
    "snow": Corruption(weather.snow, weather.draw_snow),
    "frost": Corruption(weather.frost, weather.draw_frost),
    "fog": Corruption(weather.fog, weather.draw_fog),
    "brightness": Corruption(digital.brightness),
    "contrast": Corruption(digital.contrast),
    "elastic_transform": Corruption(digital.elastic_transform, digital.draw_elastic_transform),
    "pixelate": Corruption(digital.pixelate),
    "jpeg_compression": Corruption(jpeg.jpeg_compression),
    "speckle_noise": Corruption(noise.speckle_noise, noise.draw_speckle_noise),
    "gaussian_blur": Corruption(blur.gaussian_blur),
    "spatter": Corruption(spatter.spatter, spatter.draw_spatter),
    "saturate": Corruption(digital.saturate),
}
# What ImageNet-C has otherwise; besides, its files are JPEGs.
IMAGENET_C = {
    "frost": Corruption(weather.frost, functools.partial(weather.draw_frost, enlarge=1.0)),
    "elastic_transform": Corruption(digital.elastic_transform_c, digital.draw_elastic_transform_c),
}
_IMAGENET_C_QUALITY = 85


def corrupt(
    images: ArrayLike,
    name: str,
    severity: int,
    key: ArrayLike,
    *,
    indices: ArrayLike | None = None,
    protocol: str = "imagecorruptions",
) -> Array:
    """Corrupts images; a pure function of (image, name, severity, key, protocol).

    An image's result does not depend on the other images of the batch. Of the key, the name and
    the severity together one random stream per image is derived, so different corruptions under
    one key are independent. Compiled once per (shape, dtype, name, severity); may be called inside
    ``jit`` and ``vmap``.

        key = jax.random.key(0)
        corrupt(image, "fog", 3, key)                         # one image
        corrupt(images, "fog", 3, key, indices=example_ids)   # == fold_in(key, id) for each image
        corrupt(images, "fog", 3, keys)                       # a key for each image

    Args:
        images: ``[B, H, W, 3]`` or ``[H, W, 3]``, uint8 or floating in [0, 1], at least 32 by 32.
            Grey images (``[H, W]``, ``[H, W, 1]``, ``[B, H, W, 1]``) are corrupted as colour
            pictures and come back grey (mean of the channels), except that the four noises draw
            one field. Inside ``jit`` the range of floating images cannot be checked.
        name: one of ``corruption_names("all")``; static.
        severity: 1 to 5; static.
        key: a JAX random key, or one per image, ``[B]``. With a single key and a batch, image i
            uses ``fold_in(key, indices[i])``. Deterministic corruptions ignore it.
        indices: ``[B]`` (or a number for one image): the examples' numbers in the data set, which
            make the result the same however the data is batched. Without it, a batch uses the
            positions 0..B-1 and a single image the key itself.
        protocol: whose definitions; static. ``imagecorruptions``: release 1.1.2 of that package.
            ``imagenet_c``: what the files of ImageNet-C were made by, for images of 224 px, where
            it differs: elastic_transform has an affine part, frost's photographs are cropped as
            they are, and every result is encoded as a JPEG of quality 85 and decoded. (Its
            motion_blur and snow, made by ImageMagick, are imagecorruptions' here.)

    Returns:
        Same shape and dtype. uint8 results are truncated like the reference's; floating ones keep
        their fractions (up to one grey level more), except after jpeg_compression, pixelate and
        all of ``imagenet_c``, which work on whole grey levels.

    Raises:
        ValueError: unknown name or protocol, severity outside 1..5, wrong shape, dtype, range or
            size, or keys that do not fit the batch.

    Reference:
        Hendrycks & Dietterich 2019, Benchmarking Neural Network Robustness to Common Corruptions;
        definitions as in imagecorruptions 1.1.2.
    """
    check_name(name)
    check_severity(severity)
    check_protocol(protocol)
    pictures, shape, batch = as_batch(images)
    keys = image_keys(key, indices, batch)
    corrupted = _corrupt(pictures, keys, name=name, severity=int(severity), protocol=protocol)
    return corrupted.reshape(shape)


@functools.partial(jax.jit, static_argnames=("name", "severity", "protocol"))
def _corrupt(images: Array, keys: Array, *, name: str, severity: int, protocol: str) -> Array:
    published = protocol == "imagenet_c"
    corruption = (IMAGENET_C if published else {}).get(name, CORRUPTIONS[name])
    x = images.astype(jnp.float32)
    whole = images.dtype == jnp.uint8
    if not whole:
        x = jnp.clip(x, 0.0, 1.0) * 255.0
    if images.shape[-1] == 1 and not name.endswith("noise"):
        x = jnp.broadcast_to(x, (*x.shape[:-1], 3))
    arguments: tuple[Any, ...] = ()
    if corruption.draw is not None:
        words = fields.image_words(keys, zlib.crc32(f"{name}:{severity}".encode()))
        arguments = (corruption.draw(words, x, severity),)
    y = jnp.clip(corruption.apply(x, severity, *arguments), 0.0, 255.0)
    if published:
        y = jnp.broadcast_to(jnp.floor(y + _ROUNDING), (*y.shape[:-1], 3))
        y = jnp.clip(jpeg.jpeg(y, _IMAGENET_C_QUALITY), 0.0, 255.0)
    if y.shape[-1] != images.shape[-1]:
        y = y.mean(-1, keepdims=True)
    if whole:
        return jnp.minimum(y + _ROUNDING, 255.0).astype(jnp.uint8)
    return (y / 255.0).astype(images.dtype)


def as_batch(images: Any) -> tuple[Array, tuple[int, ...], int | None]:
    """Images ``[B, H, W, C]``, the shape that they had, and B, or None for a single image.

    Raises:
        ValueError: they cannot be corrupted.
    """
    images = images if isinstance(images, jax.Array) else np.asarray(images)
    shape, dtype = images.shape, images.dtype
    coloured = len(shape) > 2 and shape[-1] in (1, 3)
    if not (len(shape) == 2 or (len(shape) in (3, 4) and coloured)):
        raise ValueError(
            f"images have shape {shape}; expected [B, H, W, 3], [H, W, 3], [B, H, W, 1], "
            "[H, W, 1] or [H, W]"
        )
    height, width = shape[1:3] if len(shape) == 4 else shape[:2]
    if min(height, width) < MIN_SIZE:
        raise ValueError(f"images are {height}x{width}; at least {MIN_SIZE}x{MIN_SIZE} is needed")
    if math.prod(shape) == 0:
        raise ValueError(f"images have shape {shape}: the batch is empty")
    if dtype != jnp.uint8:
        if not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(
                f"images have dtype {dtype}; expected uint8 in 0..255 or floating in [0, 1]"
            )
        if not isinstance(images, jax.core.Tracer):
            low, high = float(images.min()), float(images.max())
            if not (low >= -1e-3 and high <= 1 + 1e-3):
                raise ValueError(
                    f"floating images span {low:.4g}..{high:.4g}; expected [0, 1]: divide by 255, "
                    "undo a normalisation, or pass uint8"
                )
    batch = shape[0] if len(shape) == 4 else None
    channels = shape[-1] if coloured else 1
    return jnp.asarray(images).reshape(batch or 1, height, width, channels), shape, batch


def image_keys(key: ArrayLike, indices: ArrayLike | None, batch: int | None) -> Array:
    """One threefry key per image, ``[B]``."""
    if not isinstance(key, jax.Array) or not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        data = jnp.asarray(key)
        if data.dtype != jnp.uint32 or data.ndim == 0:
            raise ValueError(
                f"key has dtype {data.dtype} and shape {data.shape}; pass jax.random.key(seed)"
            )
    else:
        data = jax.random.key_data(key)
    # Other generators' keys begin with a threefry key; theirs may depend on the batch.
    keys = jax.random.wrap_key_data(data[..., :2], impl="threefry2x32")
    if keys.ndim == 0:
        if indices is None:
            if batch is None:
                return keys[None]
            indices = jnp.arange(batch)
        else:
            indices = jnp.asarray(indices)
            expected = () if batch is None else (batch,)
            if indices.shape != expected or not jnp.issubdtype(indices.dtype, jnp.integer):
                raise ValueError(
                    f"indices have shape {indices.shape} and dtype {indices.dtype}; expected "
                    f"integers of shape {expected}"
                )
        return jax.vmap(jax.random.fold_in, (None, 0))(keys, indices.reshape(-1))
    if keys.shape != (batch,) or indices is not None:
        raise ValueError(
            f"keys of shape {keys.shape} for images of batch size {batch}: pass one key (with or "
            "without indices), or one key per image and no indices"
        )
    return keys

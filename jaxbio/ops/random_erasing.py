"""Random erasing: noise in a rectangle of some images."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

_TRIES = 10
_LOG_ASPECT = float(np.log(0.3)), float(np.log(1 / 0.3))
_AREA = 0.02, 1 / 3  # of the image


@functools.partial(jax.jit, static_argnames="probability")
def random_erasing(images: jax.Array, keys: jax.Array, *, probability: float = 0.25) -> jax.Array:
    """Replaces a rectangle of some images by standard normal noise, pixel by pixel.

    The rectangle's area is uniform in 2 % to a third of the image, its log aspect ratio uniform in
    log 0.3..log 1/0.3, its place uniform: the first of ten tries that is smaller than the image
    both ways; an image without one stays whole.

    Args:
        images: normalised, ``[B, H, W, C]`` floating.
        keys: one per image, ``[B]``.
        probability: of an image to be changed, in [0, 1].

    Returns:
        Shape and dtype of ``images``.

    Reference:
        Zhong et al. 2020, "Random Erasing Data Augmentation", arXiv:1708.04896; numbers and "pixel"
        mode as in timm.
    """
    return jax.vmap(lambda image, key: _erase(image, key, probability))(images, keys)


def _erase(image: jax.Array, key: jax.Array, probability: float) -> jax.Array:
    size_key, noise_key = jax.random.split(key)
    height, width = image.shape[:2]
    draws = jax.random.uniform(size_key, (4 * _TRIES + 1,))
    tries = draws[1:].reshape(4, _TRIES)
    pixels = height * width * (_AREA[0] + (_AREA[1] - _AREA[0]) * tries[0])
    aspect = jnp.exp(_LOG_ASPECT[0] + (_LOG_ASPECT[1] - _LOG_ASPECT[0]) * tries[1])
    rows, columns = jnp.round(jnp.sqrt(pixels * aspect)), jnp.round(jnp.sqrt(pixels / aspect))
    fits = (rows < height) & (columns < width)
    chosen = jnp.argmax(fits)
    rows, columns = rows[chosen], columns[chosen]
    top = jnp.floor(tries[2, chosen] * (height - rows + 1))
    left = jnp.floor(tries[3, chosen] * (width - columns + 1))
    y, x = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
    inside = ((y >= top) & (y < top + rows)) & ((x >= left) & (x < left + columns))
    inside &= (draws[0] < probability) & jnp.any(fits)
    noise = jax.random.normal(noise_key, image.shape, image.dtype)
    return jnp.where(inside[:, :, None], noise, image)

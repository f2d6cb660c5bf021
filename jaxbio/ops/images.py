"""Images as networks take them."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Preprocessing:
    """What a model expects of its images.

    Attributes:
        image_size: side in pixels.
        mean: per channel, of images in [0, 1].
        std: likewise.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        object.__setattr__(self, "std", tuple(map(float, self.std)))

    def normalise(self, images: jax.Array) -> jax.Array:
        """uint8 images 0..255 ``[..., H, W, C]`` to float32, ``(x / 255 - mean) / std``."""
        row = (1,) * (images.ndim - 1) + (-1,)
        mean, std = (jnp.asarray(v, jnp.float32).reshape(row) for v in (self.mean, self.std))
        return (images.astype(jnp.float32) / 255.0 - mean) / std

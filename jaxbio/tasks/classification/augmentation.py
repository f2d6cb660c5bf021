"""Augmentation that is part of the training step: on the devices, a function of seed and step."""

from dataclasses import dataclass
from typing import Any

import jax

from jaxbio.ops.rand_augment import rand_augment
from jaxbio.ops.random_erasing import random_erasing
from jaxbio.options import read
from jaxbio.tasks.classification.config import Data

_RAND_AUGMENT, _ERASING = 0, 1


@dataclass(frozen=True)
class Augmentation:
    """RandAugment of the pixels, then random erasing of the normalised images.

    Every image has a key of its own, made of the step's key and of its place in the global batch:
    neither devices nor micro-batches make a difference.

    Attributes:
        data: the section whose keys ``rand_*`` describe it; what comes in from outside the image
            has the grey level ``mean``.
    """

    data: Data

    def keys(self, key: jax.Array, batch_size: int) -> jax.Array:
        """One key per image, ``[B]``."""
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jax.numpy.arange(batch_size))

    def pixels(self, images: jax.Array, keys: jax.Array) -> jax.Array:
        """RandAugment of ``[B, H, W, 3]`` uint8."""
        data = self.data
        if not data.rand_augment:
            return images
        return rand_augment(
            images,
            _fold(keys, _RAND_AUGMENT),
            layers=data.rand_augment,
            magnitude=data.rand_magnitude,
            std=data.rand_magnitude_std,
            fill=data.mean,
        )

    def normalised(self, images: jax.Array, keys: jax.Array) -> jax.Array:
        """Random erasing of ``[B, H, W, C]`` float32 of mean 0 and variance 1."""
        if not (probability := self.data.random_erasing):
            return images
        return random_erasing(images, _fold(keys, _ERASING), probability=probability)


def read_augmentation(data: Any) -> Augmentation | None:
    """The augmentation that ``config.data`` asks for; None if there is none.

    Raises:
        InputError: a number out of range.
    """
    data = read(Data, data, "data.")
    return Augmentation(data) if data.rand_augment or data.random_erasing else None


def _fold(keys: jax.Array, number: int) -> jax.Array:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)

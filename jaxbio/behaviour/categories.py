"""The 16 categories of model-vs-human, and which of ImageNet's 1,000 classes belong to each.

Reference:
    Geirhos et al. 2018, "Generalisation in humans and deep neural networks", and the class numbers
    published with Geirhos et al. 2021, "Partial success in closing the gap between human and
    machine vision" (bethgelab/model-vs-human, MIT).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxbio.errors import InputError

_CLASSES = {
    "airplane": "404",
    "bear": "294-297",
    "bicycle": "444 671",
    "bird": "8 10-16 18-20 22-24 80-83 87-96 98-100 127-133 135-145",
    "boat": "472 554 625 814 914",
    "bottle": "440 720 737 898 899 901 907",
    "car": "436 511 817",
    "cat": "281-286",
    "chair": "423 559 765 857",
    "clock": "409 530 892",
    "dog": "152-191 193-203 205-226 228-241 243-250 252-257 259 261-263 265-268",
    "elephant": "385-386",
    "keyboard": "508 878",
    "knife": "499",
    "oven": "766",
    "truck": "555 569 656 675 717 734 864 867",
}
CATEGORIES = tuple(_CLASSES)


def _numbers(text: str) -> tuple[int, ...]:
    bounds = (part.split("-") for part in text.split())
    return tuple(n for b in bounds for n in range(int(b[0]), int(b[-1]) + 1))


IMAGENET_CLASSES = {name: _numbers(text) for name, text in _CLASSES.items()}


def category_probabilities(probabilities: ArrayLike) -> jax.Array:
    """Means of the probabilities of each category's classes.

    The mean, not the sum, so that a category is not favoured for having many classes; the results
    of an image do not add up to 1.

    Args:
        probabilities: of ImageNet's 1,000 classes in torchvision's order, ``[..., 1000]``.

    Returns:
        ``[..., 16]``, in the order of ``CATEGORIES``.

    Raises:
        InputError: another number of classes.
    """
    p = jnp.asarray(probabilities)
    if p.shape[-1:] != (1000,):
        raise InputError(
            f"probabilities have shape {p.shape}: the 16 categories are made of ImageNet's 1,000 "
            "classes; a network with 16 outputs needs no mapping"
        )
    return jnp.stack([p[..., np.asarray(n)].mean(-1) for n in IMAGENET_CLASSES.values()], -1)

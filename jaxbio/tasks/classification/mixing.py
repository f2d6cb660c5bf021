"""mixup and CutMix: pictures of a batch in pairs, with both labels.

References:
    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization", ICLR 2018 (alpha 0.2 on
    ImageNet, 1 on CIFAR).
    Yun et al. 2019, "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features", ICCV 2019 (alpha 1; half of the batches on CIFAR, all on ImageNet).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.options import read
from jaxbio.tasks.classification.config import Data


@dataclass(frozen=True)
class Mixing:
    """What is done to a batch, as part of the step: a function of its key alone.

    As published, a batch has one weight or rectangle, and the partners are a permutation of it.

    Attributes:
        data: the section whose keys ``mix*`` describe it. ``cutmix_alpha`` is of what a picture
            keeps of its area, before its rectangle is cut at the border.
    """

    data: Data

    def __call__(self, batch: dict[str, jax.Array], key: jax.Array) -> dict[str, jax.Array]:
        """Mixes ``image`` ``[B, H, W, C]`` in 0..255 and ``label`` ``[B]``.

        Returns:
            The batch with float32 images and, besides, ``other`` ``[B]``, the labels of the
            partners, and ``weight`` ``[B]`` float32, that of the own label. The own label is the
            one with the larger weight, so that accuracy is that of the class that prevails.
        """
        data = self.data
        images, labels = batch["image"].astype(jnp.float32), batch["label"]
        pairs, kind, area, place, use = jax.random.split(key, 5)
        partners = jax.random.permutation(pairs, len(labels))
        others = images[partners]

        def blended() -> tuple[jax.Array, jax.Array]:
            weight = _beta(area, data.mixup_alpha)
            return weight * images + (1.0 - weight) * others, weight

        def pasted() -> tuple[jax.Array, jax.Array]:
            inside = _rectangle(place, images.shape[1:3], _beta(area, data.cutmix_alpha))
            weight = 1.0 - jnp.mean(inside.astype(jnp.float32))
            return jnp.where(inside[None, :, :, None], others, images), weight

        if data.mix == "both":
            mixed, weight = jax.lax.cond(jax.random.bernoulli(kind), blended, pasted)
        else:
            mixed, weight = blended() if data.mix == "mixup" else pasted()
        used = jax.random.bernoulli(use, data.mix_share)
        weight = jnp.where(used, weight, 1.0)
        swapped = weight < 0.5
        return {
            **batch,
            "image": jnp.where(used, mixed, images),
            "label": jnp.where(swapped, labels[partners], labels),
            "other": jnp.where(swapped, labels, labels[partners]),
            "weight": jnp.full(labels.shape, jnp.maximum(weight, 1.0 - weight)),
        }


def read_mixing(data: Any) -> Mixing | None:
    """What ``config.data`` asks for; None: nothing.

    Raises:
        InputError: a number out of range.
    """
    data = read(Data, data, "data.")
    return None if data.mix == "none" else Mixing(data)


def _beta(key: jax.Array, alpha: float) -> jax.Array:
    return jax.random.beta(key, jnp.float32(alpha), jnp.float32(alpha))


def _rectangle(key: jax.Array, size: tuple[int, ...], kept: jax.Array) -> jax.Array:
    """``[H, W]`` bool: a rectangle of the picture's shape and ``1 - kept`` of its area.

    Its centre is anywhere; what lies outside is lost.
    """
    inside = jnp.ones(size, bool)
    for axis, (length, one) in enumerate(zip(size, jax.random.split(key), strict=True)):
        half = jnp.floor(length * jnp.sqrt(1.0 - kept)).astype(jnp.int32) // 2
        centre = jax.random.randint(one, (), 0, length)
        places = jnp.arange(length)
        along = (places >= centre - half) & (places < centre + half)
        inside &= jnp.expand_dims(along, 1 - axis)
    return inside

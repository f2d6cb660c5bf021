"""Adversarial training (Madry et al. 2018): images are attacked before the network learns them."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxbio.attacks import pgd
from jaxbio.attacks.ball import largest
from jaxbio.errors import InputError
from jaxbio.ops.images import Preprocessing
from jaxbio.options import read
from jaxbio.tasks.classification.config import Train


@dataclass(frozen=True)
class Adversary:
    """PGD against the network as it is in this step, with the statistics of evaluation.

    Attributes:
        train: the section whose keys ``adversarial_*`` describe it.
    """

    train: Train

    def attack(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        variables: dict[str, Any],
        batch: dict[str, jax.Array],
        key: jax.Array,
    ) -> jax.Array:
        """Attacked images, float32 in 0..255, ``[B, H, W, C]``.

        Args:
            model: called as ``model(images, train=False)``.
            preprocessing: of its images.
            variables: the model's.
            batch: ``image`` ``[B, H, W, C]`` in 0..255 and ``label`` ``[B]``. Random starts belong
                to the place in it.
            key: of the starts and of a front-end's noise, which stays the same through the attack.
        """

        def network(images: jax.Array) -> jax.Array:
            images = preprocessing.normalise(255.0 * images)
            return model.apply(variables, images, train=False, rngs={"noise": key})[0]

        train, clean = self.train, batch["image"].astype(jnp.float32) / 255.0
        attacked = pgd(
            network, clean, batch["label"], key, train.adversarial_epsilon,
            norm=train.adversarial_norm, steps=train.adversarial_steps,
            step=train.adversarial_step, keep="last",
        )  # fmt: skip
        return 255.0 * attacked.images


def read_adversary(train: Any, image_size: int) -> Adversary | None:
    """The adversary that ``config.train`` asks for; None if there is none.

    Raises:
        InputError: a radius beyond the range of the images.
    """
    train = read(Train, train, "train.")
    if train.adversarial == "none":
        return None
    most = largest((image_size, image_size, 3), train.adversarial_norm)
    if train.adversarial_epsilon > most:
        raise InputError(
            f"train.adversarial_epsilon={train.adversarial_epsilon}: images in [0, 1] lie within "
            f"{most:g} of each other in {train.adversarial_norm} (8/255 is 0.0314)"
        )
    return Adversary(train)

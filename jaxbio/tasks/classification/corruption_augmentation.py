"""Image corruptions as augmentation of training images, on the devices."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxbio.corruptions.selection import parse_corruptions, parse_severities
from jaxbio.corruptions.sharded import sharded_corrupt
from jaxbio.options import read
from jaxbio.runs.mesh import batch_sharding
from jaxbio.tasks.classification.config import Data

_STREAM = 0x636F7272  # keeps these draws apart from those of the training step


@dataclass(frozen=True)
class CorruptionAugmentation:
    """What is done to training images.

    Attributes:
        kinds: pairs of corruption and severity, one of which is drawn for every step.
        share: of the images of a batch that are corrupted, in (0, 1].
    """

    kinds: tuple[tuple[str, int], ...]
    share: float

    def kind(self, seed: int, step: int) -> tuple[str, int]:
        """The step's corruption and severity, all equally likely."""
        draw = np.random.default_rng([seed & 0xFFFFFFFFFFFFFFFF, step, _STREAM])
        return self.kinds[int(draw.integers(len(self.kinds)))]


def read_corruption_augmentation(data: Any) -> CorruptionAugmentation | None:
    """The augmentation that ``config.data`` asks for, or None.

    Raises:
        InputError: unknown corruptions, or a key out of its range.
    """
    data = read(Data, data, "data.")
    if not data.corruption_augmentation:
        return None
    names = parse_corruptions(
        data.corruption_augmentation.split(","), "data.corruption_augmentation"
    )
    severities = parse_severities(
        data.corruption_severities.split(","), "data.corruption_severities"
    )
    kinds = tuple((name, severity) for name in names for severity in severities)
    return CorruptionAugmentation(kinds, data.corruption_share)


def corrupted(
    batches: Iterable[dict[str, jax.Array]],
    augmentation: CorruptionAugmentation,
    mesh: Mesh,
    seed: int,
    start_step: int,
) -> Iterator[dict[str, jax.Array]]:
    """Corrupts a random share of the images of every batch.

    A step has one corruption and one severity: every kind is compiled once, when it is first drawn,
    and a batch costs what one corruption costs. Everything is a function of (seed, step, example),
    so a resumed run sees the pictures that an uninterrupted one sees.

    Args:
        batches: with ``image`` ``[B, H, W, 3]`` uint8 and ``index`` ``[B]``, on the devices.
        augmentation: what to do.
        mesh: the devices.
        seed: the run's.
        start_step: the step of the first batch.

    Yields:
        The batches with other images.
    """
    split = batch_sharding(mesh).spec
    key = jax.random.fold_in(jax.random.key(seed), _STREAM)
    for step, batch in enumerate(batches, start_step):
        program = sharded_corrupt(mesh, split, *augmentation.kind(seed, step))
        step_key = jax.random.fold_in(key, step)
        images = program(batch["image"], batch["index"], step_key)
        chosen = _choose(batch["image"], images, batch["index"], step_key, augmentation.share)
        yield {**batch, "image": chosen}


@partial(jax.jit, static_argnames="share", donate_argnums=0)
def _choose(
    clean: jax.Array, corrupted: jax.Array, indices: jax.Array, key: jax.Array, share: float
) -> jax.Array:
    """Takes a random ``share`` of the corrupted images, decided image by image."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, _STREAM), indices)
    take = jax.vmap(lambda k: jax.random.uniform(k) < share)(keys)
    return jnp.where(take[:, None, None, None], corrupted, clean)

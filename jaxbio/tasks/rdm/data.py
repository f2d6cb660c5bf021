"""Batches for learning from neural data: balanced over objects, with the RDM to be learnt.

A condition is an object seen in several images, or, where every image is an object of its own, an
image. In the first case images of every object are held out, in the second whole conditions are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import jax
import numpy as np
from jax.sharding import Mesh

from jaxbio.errors import InputError
from jaxbio.neural import Recordings, StimulusSet
from jaxbio.runs.mesh import batch_sharding, replicated
from jaxbio.similarity import object_means, rdm


@dataclass(frozen=True)
class Partition:
    """Which images are learnt from.

    Attributes:
        train: sorted indices.
        test: sorted indices of the others.
    """

    train: np.ndarray
    test: np.ndarray


def split_images(stimuli: StimulusSet, held_out: float, seed: int) -> Partition:
    """Holds out a share of the images of every object, or, of single images, of every category.

    Raises:
        InputError: the share leaves a side without images, or too few conditions to compare.
    """
    groups = stimuli.objects
    if not _has_views(groups):
        groups = stimuli.labels
    rng = np.random.default_rng(seed)
    held: list[np.ndarray] = []
    for group in np.unique(groups):
        index = np.flatnonzero(groups == group)
        count = round(held_out * len(index))
        if not 0 < count < len(index):
            raise InputError(
                f"rdm.held_out={held_out} of the {len(index)} images of '{group}' is {count}: some "
                "must be held out and some be left"
            )
        held.append(rng.permutation(index)[:count])
    test = np.sort(np.concatenate(held))
    train = np.setdiff1d(np.arange(len(groups)), test)
    for name, part in (("training", train), ("held-out", test)):
        conditions = len(np.unique(stimuli.objects[part]))
        if conditions < 3:
            raise InputError(
                f"rdm.held_out={held_out}: RDMs need 3 conditions or more, {conditions} are {name}"
            )
    return Partition(train, test)


def _has_views(objects: np.ndarray) -> bool:
    return len(np.unique(objects)) < len(objects)


@dataclass(frozen=True)
class Target:
    """What the student's RDM should become.

    Attributes:
        patterns: ``[S, P]`` responses or a teacher's features, whose RDM of object means it is; or
        dissimilarities: ``[S, S]``, where only these are known.
    """

    patterns: np.ndarray | None = None
    dissimilarities: np.ndarray | None = None

    def matrix(self, index: np.ndarray, conditions: np.ndarray) -> np.ndarray:
        """The RDM ``[conditions, conditions]`` of the images ``index``, whose rows are
        ``conditions``: 0 .. n - 1.
        """
        if self.patterns is None:  # one image per condition
            order = index[np.argsort(conditions)]
            return np.asarray(
                cast(np.ndarray, self.dissimilarities)[np.ix_(order, order)], np.float32
            )
        means = object_means(self.patterns[index], conditions, int(conditions.max()) + 1)
        return np.asarray(rdm(means, "correlation", name="target"), np.float32)


def neural_target(recordings: Recordings) -> Target:
    """Responses, averaged over time bins; or the mean RDM of the subjects.

    Raises:
        InputError: several RDMs and no responses: one has to be chosen.
    """
    if recordings.responses is not None:
        return Target(patterns=recordings.responses.mean(axis=2).astype(np.float32))
    if len(recordings.rdms) != 1:
        raise InputError(
            f"{recordings.name} has RDMs of {', '.join(recordings.rdms)}: choose with rdm.region"
        )
    if _has_views(recordings.stimuli.objects):
        raise InputError(
            f"{recordings.name} has RDMs of images but several images per object: not supported"
        )
    return Target(dissimilarities=next(iter(recordings.rdms.values())).mean(axis=0))


@dataclass(frozen=True)
class BalancedBatches:
    """Batches of as many images of every condition; each a pure function of (seed, step).

    Attributes:
        images: ``[S, H, W, 3]`` uint8.
        labels: ``[S]`` category of each.
        objects: ``[S]`` condition of each.
        index: images to draw from.
        target: the RDM to learn.
        per_object: images of each object in a batch.
        seed: of the draws.
    """

    images: np.ndarray
    labels: np.ndarray
    objects: np.ndarray
    index: np.ndarray
    target: Target
    per_object: int
    seed: int

    def __post_init__(self):
        for name, members in self._members.items():
            if not 1 <= self.per_object <= len(members):
                raise InputError(
                    f"rdm.images_per_object={self.per_object}: '{name}' has {len(members)} images "
                    "to learn from"
                )

    @property
    def size(self) -> int:
        """Images in a batch."""
        return len(self._members) * self.per_object

    def draw(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Image indices and their conditions ``0 .. n - 1``, object by object."""
        rng = np.random.default_rng((self.seed, step))
        drawn = [
            rng.choice(index, self.per_object, replace=False) for index in self._members.values()
        ]
        return np.concatenate(drawn), np.repeat(np.arange(len(drawn)), self.per_object)

    def stream(self, start: int, stop: int, mesh: Mesh) -> Iterator[dict[str, jax.Array]]:
        """Batches of steps ``start`` to ``stop - 1`` on the devices: image, label, object, target.

        Images are split over the devices where their number divides; else every device has all.
        """
        whole = replicated(mesh)
        split = batch_sharding(mesh) if self.size % mesh.size == 0 else whole
        for step in range(start, stop):
            index, conditions = self.draw(step)
            yield {
                "image": _place(self.images[index], split),
                "label": _place(self.labels[index].astype(np.int32), split),
                "object": _place(conditions.astype(np.int32), split),
                "target": _place(self.target.matrix(index, conditions), whole),
            }

    @property
    def _members(self) -> dict[str, np.ndarray]:
        chosen = self.objects[self.index]
        return {str(name): self.index[chosen == name] for name in np.unique(chosen)}


def _place(array: np.ndarray, sharding: jax.sharding.Sharding) -> jax.Array:
    """An array that every process has, on the devices."""
    return jax.make_array_from_callback(array.shape, sharding, lambda part: array[part])

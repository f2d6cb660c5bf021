"""Batches for learning from neural data: balanced over objects, with the RDM to be learnt.

A condition is an object seen in several images, or, where every image is an object of its own, an
image. In the first case images of every object are held out, in the second whole conditions are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
        test: sorted indices of those held out.
        validation: sorted indices of the others, which choose the best checkpoint.
    """

    train: np.ndarray
    test: np.ndarray
    validation: np.ndarray


def split_images(
    stimuli: StimulusSet, held_out: float, seed: int, validation: float = 0.0
) -> Partition:
    """Holds out a share of the images of every object, or, of single images, of every category.

    Raises:
        InputError: the share leaves a side without images, or too few conditions to compare.
    """
    groups = stimuli.objects
    if not _has_views(groups):
        groups = stimuli.labels
    rng = np.random.default_rng(seed)
    everything = np.arange(len(groups))
    test = _drawn(rng, groups, everything, "rdm.held_out", held_out)
    train = np.setdiff1d(everything, test)
    chosen = np.zeros(0, int)
    if validation:
        chosen = _drawn(rng, groups, train, "rdm.validation", validation)
        train = np.setdiff1d(train, chosen)
    for name, part in (("training", train), ("held-out", test), ("validation", chosen)):
        conditions = len(np.unique(stimuli.objects[part]))
        if conditions < 3 and (name != "validation" or validation):
            raise InputError(
                f"rdm.held_out={held_out}, rdm.validation={validation}: RDMs need 3 conditions or "
                f"more, {conditions} are {name}"
            )
    return Partition(train, test, chosen)


def split_people(recordings: Recordings, count: int, seed: int) -> tuple[Recordings, Recordings]:
    """Recordings to learn from, and those to score against, which are of other people.

    Args:
        recordings: with one published RDM per subject, of one region.
        count: subjects who are only scored against; 0: all are both.
        seed: of the choice.

    Raises:
        InputError: there are no subjects, or not as many.
    """
    if not count:
        return recordings, recordings
    subjects = [len(rdms) for rdms in recordings.rdms.values()]
    if recordings.responses is not None or len(subjects) != 1 or subjects[0] <= count:
        there = "no RDM per subject" if recordings.responses is not None else f"{subjects} subjects"
        raise InputError(
            f"rdm.held_out_people={count}: {recordings.name} has {there}: use 0, or RDMs of one "
            "region (rdm.region) and more people"
        )
    order = np.random.default_rng((seed, 2)).permutation(subjects[0])
    learnt, scored = (
        replace(recordings, rdms={name: rdms[part] for name, rdms in recordings.rdms.items()})
        for part in (np.sort(order[count:]), np.sort(order[:count]))
    )
    return learnt, scored


def _drawn(
    rng: np.random.Generator, groups: np.ndarray, index: np.ndarray, key: str, share: float
) -> np.ndarray:
    """A share of the images ``index`` of every group, sorted."""
    held: list[np.ndarray] = []
    for group in np.unique(groups):
        members = index[groups[index] == group]
        count = round(share * len(members))
        if not 0 < count < len(members):
            raise InputError(
                f"{key}={share} of the {len(members)} images of '{group}' is {count}: some "
                "must be held out and some be left"
            )
        held.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(held))


def _has_views(objects: np.ndarray) -> bool:
    return len(np.unique(objects)) < len(objects)


@dataclass(frozen=True)
class Target:
    """What the student's RDM should become.

    Attributes:
        patterns: ``[S, P]`` responses or a teacher's features, whose RDM of object means it is; or
        dissimilarities: ``[S, S]``, where only these are known.
        shuffled: None, or the seed of another order of the conditions.
    """

    patterns: np.ndarray | None = None
    dissimilarities: np.ndarray | None = None
    shuffled: int | None = None

    def matrix(self, index: np.ndarray, objects: np.ndarray) -> np.ndarray:
        """The RDM ``[n, n]`` of the images ``index``, float32.

        Args:
            index: images.
            objects: the condition of each of them; rows are in the conditions' sorted order.
        """
        if self.patterns is None:  # one image per condition
            order = index[np.argsort(objects)]
            found = cast(np.ndarray, self.dissimilarities)[np.ix_(order, order)].astype(np.float32)
        else:
            found = rdm_of_objects(self.patterns[index], objects, "target")
        if self.shuffled is None:
            return found
        order = np.random.default_rng((self.shuffled, 3)).permutation(len(found))
        return found[np.ix_(order, order)]


def rdm_of_objects(patterns: np.ndarray, objects: np.ndarray, name: str) -> np.ndarray:
    """The RDM ``[n, n]`` of the mean of ``patterns`` ``[S, P]`` of each of the objects ``[S]``, in
    sorted order; float32. ``name`` is that of the patterns, for errors.
    """
    _, conditions = np.unique(objects, return_inverse=True)
    means = object_means(patterns, conditions, int(conditions.max()) + 1)
    return np.asarray(rdm(means, "correlation", name=name))


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

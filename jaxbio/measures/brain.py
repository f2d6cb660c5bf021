"""Recordings prepared for the measures of similarity: one time bin, or published RDM, at a time."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.neural import Recordings
from jaxbio.similarity import (
    NeuralNoise,
    Products,
    Splits,
    internal_consistency,
    object_means,
    rdm,
    stratified_splits,
    upper,
)
from jaxbio.similarity.ceilings import random_halves
from jaxbio.similarity.crossval import strata
from jaxbio.similarity.noise import recordings_noise

_HALVES = 10  # random divisions of the presentations into two halves
_SPLITS = 10  # of regressions, as Brain-Score has them
_TEST_SHARE = 0.1
_FEWEST_CONDITIONS = 3


@dataclass(frozen=True)
class Brain:
    """What a model is compared with.

    Attributes:
        name: of the time bin or the published RDM; "" where there is one only.
        patterns: responses ``[S, N]``, or None where only dissimilarities are known.
        presentations: single presentations ``[R, S, N]``, or None.
        seed: of every random draw.
    """

    recordings: Recordings
    name: str
    patterns: np.ndarray | None
    presentations: np.ndarray | None
    seed: int

    @property
    def objects(self) -> np.ndarray:
        """``[S]`` object of each image."""
        return self.recordings.stimuli.objects

    @property
    def labels(self) -> np.ndarray:
        """``[S]`` category of each image."""
        return self.recordings.stimuli.labels

    @cached_property
    def has_views(self) -> bool:
        """Whether objects have several images: conditions are objects then, else images."""
        return len(np.unique(self.objects)) < len(self.objects)

    @cached_property
    def conditions(self) -> np.ndarray:
        """``[S]`` condition of each image, 0 .. n - 1, in the order of first appearance."""
        _, first, inverse = np.unique(self.objects, return_index=True, return_inverse=True)
        return np.argsort(np.argsort(first))[inverse]

    @cached_property
    def condition_labels(self) -> np.ndarray:
        """Category of each condition."""
        _, first = np.unique(self.conditions, return_index=True)
        return self.labels[first]

    def condition_rdm(self, patterns: Any, name: str) -> np.ndarray:
        """``[n, n]`` of condition means, 1 - Pearson's r."""
        if isinstance(patterns, Products):
            return patterns.rdm(self.conditions if self.has_views else None, name)
        count = int(self.conditions.max()) + 1
        if self.has_views:
            patterns = object_means(patterns, self.conditions, count)
        return np.asarray(rdm(patterns, "correlation", name=name))

    @cached_property
    def subject_rdms(self) -> np.ndarray | jax.Array:
        """RDM vectors ``[subjects, P]``: the published ones, or one of the responses."""
        if self.patterns is not None:
            return upper(self.condition_rdm(self.patterns, self.recordings.name))[None]
        rdms = self.recordings.rdms
        return np.asarray(upper(rdms[self.name] if self.name else next(iter(rdms.values()))))

    @cached_property
    def halves(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Means over random halves of the presentations, each ``[halves, S, N]``; None without."""
        if self.presentations is None or len(self.presentations) < 2:
            return None
        index = random_halves(jax.random.key(self.seed), len(self.presentations), _HALVES)
        first, second = (
            np.stack([self.presentations[rows].mean(axis=0) for rows in np.asarray(index[:, side])])
            for side in (0, 1)
        )
        return first, second

    @cached_property
    def consistency(self) -> float | None:
        """Split-half reliability of the responses; None without presentations."""
        if self.presentations is None or len(self.presentations) < 2:
            return None
        key = jax.random.key(self.seed)
        found = internal_consistency(self.presentations, key=key, name=self.recordings.name)
        return float(found.score)

    @cached_property
    def splits(self) -> Splits:
        """Ten splits with 90 % in training, stratified by object where there are enough images."""
        return stratified_splits(strata(self.objects, self.labels, _TEST_SHARE), _SPLITS)

    @cached_property
    def noise(self) -> NeuralNoise:
        """Of the recordings."""
        return recordings_noise(self.presentations)


def brains(recordings: Recordings, bins: str, seed: int) -> list[Brain]:
    """The recordings, averaged over time bins (``mean``) or bin by bin (``all``); published RDMs
    region by region. ``seed`` is that of every random draw.

    Raises:
        InputError: too few conditions, or RDMs of images that share objects.
    """
    conditions = len(np.unique(recordings.stimuli.objects))
    if conditions < _FEWEST_CONDITIONS:
        raise InputError(
            f"{recordings.name} has {conditions} objects: an RDM needs {_FEWEST_CONDITIONS} or more"
        )
    if recordings.responses is None:
        if conditions < len(recordings.stimuli):
            raise InputError(
                f"{recordings.name} has RDMs of images but several images per object: give each "
                "image an object of its own"
            )
        if len(recordings.rdms) == 1:
            return [Brain(recordings, "", None, None, seed)]
        return [Brain(recordings, region, None, None, seed) for region in recordings.rdms]
    responses, presentations = recordings.responses, recordings.repetitions
    if bins == "mean" or recordings.num_bins == 1:
        mean = None if presentations is None else presentations.mean(axis=3)
        return [Brain(recordings, "", responses.mean(axis=2), mean, seed)]
    return [
        Brain(
            recordings,
            _bin_name(recordings, number),
            responses[:, :, number],
            None if presentations is None else presentations[..., number],
            seed,
        )
        for number in range(recordings.num_bins)
    ]


def _bin_name(recordings: Recordings, number: int) -> str:
    start, end = cast(np.ndarray, recordings.time_bins)[number]
    return f"{start:g}-{end:g} ms"

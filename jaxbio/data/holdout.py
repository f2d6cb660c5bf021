"""A validation set out of the training set."""

import dataclasses
import hashlib
import logging

import numpy as np

from jaxbio.data.settings import DataError
from jaxbio.data.splits import labels_of, taken
from jaxbio.data.types import Source

_logger = logging.getLogger("jaxbio.data")


def hold_out(source: Source, share: float, seed: int) -> Source:
    """A source that tests on a part of its training set and learns from the rest.

    The part is stratified: of every class the share, rounded, at least one example. It depends on
    the classes' sizes and the seed alone.

    Args:
        source: its own test set is left alone.
        share: of the training set, in (0, 1).
        seed: chooses the examples.

    Returns:
        The source; both parts keep the order of the training set.

    Raises:
        DataError: no training set, or a class of one example.
    """
    if not source.num_train:
        raise DataError(f"data.split={share}: data.source={source.name!r} has no training examples")
    labels = labels_of(source.train)
    held = np.zeros(len(labels), bool)
    for label, name in enumerate(source.class_names):
        of_class = np.flatnonzero(labels == label)
        if not len(of_class):
            continue
        count = max(1, round(share * len(of_class)))
        if count >= len(of_class):
            raise DataError(
                f"data.split={share} leaves none of the {len(of_class)} training examples of class "
                f"{name!r}: take a smaller share, or add examples"
            )
        held[np.random.default_rng([seed, label]).permutation(of_class)[:count]] = True
    rest, part = np.flatnonzero(~held), np.flatnonzero(held)
    _logger.info(
        "data.split=%s: %d training examples are held out and tested on, %d remain; the data's own "
        "test set (%d) is for data.split=0",
        share,
        len(part),
        len(rest),
        source.num_eval,
    )
    chosen = hashlib.sha256(part.astype("<i8").tobytes()).hexdigest()[:8]
    return dataclasses.replace(
        source,
        train=taken(source.train, rest),
        eval=taken(source.train, part),
        fingerprint=lambda: f"{source.fingerprint()}-{chosen}",
    )

"""Splits of stimuli into training and test, and draws of images per object.

Splits are arrays of indices: ``train [splits, n_train]``, ``test [splits, n_test]``, each row in
ascending order. They are made once, outside of compiled code.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError

_SVM_SHARE = 0.16  # tested in the inner splits: a fifth of the four fifths in training


class Splits(NamedTuple):
    """Crossvalidation splits.

    Attributes:
        train: ``[splits, n_train]`` indices.
        test: ``[splits, n_test]`` indices.
    """

    train: np.ndarray
    test: np.ndarray


def stratified_splits(
    labels: Any, n_splits: int = 10, *, train_size: float = 0.9, seed: int = 1
) -> Splits:
    """Random splits in which every label keeps its share: those of Brain-Score.

    Where every stimulus has a label of its own there are no shares: plain random splits.

    Args:
        labels: label of each stimulus ``[n]``, normally its object.
        n_splits: number of independent splits.
        train_size: share of stimuli in training, in (0, 1).
        seed: of scikit-learn's ``StratifiedShuffleSplit``.

    Returns:
        The splits.

    Raises:
        InputError: if a label has one stimulus only, or a side would have fewer stimuli than there
            are labels.
    """
    # Imported here: it takes a second, which measures without splits need not wait.
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise InputError(f"labels has shape {labels.shape}, must have one per stimulus")
    if not (0 < train_size < 1 and n_splits >= 1):
        raise InputError(f"train_size={train_size} must lie in (0, 1), n_splits={n_splits} above 0")
    kind = ShuffleSplit if len(np.unique(labels)) == len(labels) else StratifiedShuffleSplit
    splitter = kind(n_splits=n_splits, train_size=train_size, random_state=seed)
    try:
        pairs = list(splitter.split(np.zeros(len(labels)), labels))
    except ValueError as error:
        raise InputError(f"cannot split {len(labels)} stimuli by their labels: {error}") from None
    return Splits(*(np.stack([np.sort(pair[i]) for pair in pairs]) for i in (0, 1)))


def strata(objects: np.ndarray, labels: np.ndarray, share: float = _SVM_SHARE) -> np.ndarray:
    """By what splits are stratified: objects, or categories where images are few.

    Args:
        objects: ``[S]`` object of each image.
        labels: ``[S]`` category of each image.
        share: of the images, which must be enough for one of each object; by default the SVM's.
    """
    enough = share * len(objects) >= len(np.unique(objects))
    return objects if enough else labels


def check_splits(splits: Any, n: int) -> Splits:
    """Splits given by a user, as int32 arrays.

    Raises:
        InputError: if shapes do not fit, or indices are not of n stimuli.
    """
    train, test = (np.asarray(part) for part in splits)
    for part, name in ((train, "train"), (test, "test")):
        whole = np.issubdtype(part.dtype, np.integer)
        if part.ndim != 2 or not whole or not part.size or part.min() < 0 or part.max() >= n:
            raise InputError(f"splits: {name} must be [splits, indices] within the {n} stimuli")
    if len(train) != len(test):
        raise InputError(f"splits: {len(train)} training parts and {len(test)} test parts")
    if any(np.intersect1d(a, b).size for a, b in zip(train, test, strict=True)):
        raise InputError("splits: a stimulus is in the training and the test part of one split")
    return Splits(train.astype(np.int32), test.astype(np.int32))


def members(objects: np.ndarray, n_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """The images of each object.

    Args:
        objects: index of each image's object ``[n]``.
        n_objects: number of objects.

    Returns:
        Image indices ``[objects, most images]``, rows filled up with their first entry, and how
        many of each row count ``[objects]``.
    """
    counts = np.bincount(objects, minlength=n_objects)
    table = np.zeros((n_objects, counts.max()), np.int32)
    for label in range(n_objects):
        found = np.flatnonzero(objects == label)
        table[label] = found[0]
        table[label, : len(found)] = found
    return table, counts


def draw_per_object(key: jax.Array, counts: jax.Array, most: int, take: int, n: int) -> jax.Array:
    """Draws ``take`` of each object's images without replacement, ``n`` times.

    Args:
        key: random key.
        counts: images of each object ``[objects]``, each at least ``take``.
        most: the largest count.
        take: how many to draw.
        n: number of draws.

    Returns:
        Which of each object's images were drawn, 1 or 0, ``[n, objects, most]`` float32.
    """
    u = jax.random.uniform(key, (n, len(counts), most))
    u = jnp.where(jnp.arange(most)[None, None] < counts[None, :, None], u, 2.0)
    return (u <= jnp.sort(u, -1)[..., take - 1 : take]).astype(jnp.float32)

"""From spike counts to labels: votes of calibrated neurons, or a linear classifier.

A neuron's vote for a label is its mean spike count over the calibration images of that label. An
image's scores are its counts weighted by the votes and summed; how, is what the voting methods
differ in. Counts come as ``[N, filters, rows, columns]``, or ``[N, filters]`` where there are no
positions.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxbio.errors import InputError
from jaxbio.spiking.settings import READOUTS, VOTING

NO_LABEL = -1  # where nothing that votes has spiked


class MissingClassWarning(UserWarning):
    """A class without calibration images: it is never chosen."""


def check_readout(name: str, top_n: int = 1) -> None:
    """Raises an ``InputError`` if ``name`` is not one of ``READOUTS`` or ``top_n`` not positive."""
    if name not in READOUTS:
        raise InputError(f"unknown readout '{name}': use {', '.join(READOUTS)}")
    if top_n < 1:
        raise InputError(f"top_n={top_n}: at least one filter of a position has to vote")


def votes_from_counts(counts: np.ndarray, labels: np.ndarray, num_classes: int = 10) -> np.ndarray:
    """Calibrates: the mean spike count of every neuron over the images of each label.

    Args:
        counts: ``[N, filters, ...]`` spikes per image, 0 or more.
        labels: ``[N]`` whole numbers in [0, num_classes).
        num_classes: number of labels.

    Returns:
        float32 votes ``[num_classes, filters, ...]``. A class without images is warned about
        (``MissingClassWarning``) and gets 0 everywhere, which no method ever chooses.

    Raises:
        InputError: shapes or labels that do not fit.
    """
    counts, labels, sizes = _checked_calibration(counts, labels, num_classes)
    sums = np.stack([counts[labels == c].sum(0, dtype=np.float64) for c in range(num_classes)])
    return (sums / np.maximum(sizes, 1).reshape(-1, *(1,) * (counts.ndim - 1))).astype(np.float32)


def voting_scores(
    counts: ArrayLike, votes: Any, readout: str = "patch_voting", top_n: int = 1
) -> jax.Array:
    """Every label's score for every image. With p = counts x votes:

    - ``patch_voting``: per position the largest p of all filters, summed over positions;
    - ``all_voting``: sum over all neurons;
    - ``spikes_first``: per position only the filter with most spikes (the first of equals), summed;
    - ``top_n``: per position the ``top_n`` largest p, summed: ``patch_voting`` at 1, ``all_voting``
      at the number of filters. (The published option of this name ignored its n.)

    Args:
        counts: ``[N, filters, ...]`` spikes per image.
        votes: ``[classes, filters, ...]`` of :func:`votes_from_counts`.
        readout: one of ``VOTING``.
        top_n: of ``top_n``; the others ignore it.

    Returns:
        float32 ``[N, classes]``; scores of 0 throughout where nothing that votes has spiked.

    Raises:
        InputError: an uncalibrated network (votes None), an unknown readout, ``top_n`` beyond the
            number of filters, shapes that do not fit.
    """
    check_readout(readout, top_n)
    if readout not in VOTING:
        raise InputError(
            f"readout '{readout}' does not vote: use {', '.join(VOTING)} (evaluate.py and report "
            "measure it; in a program, fit_linear)"
        )
    votes = require_calibrated(votes)
    counts = _checked_counts(counts)
    if counts.shape[1:] != votes.shape[1:]:
        raise InputError(
            f"counts of neurons {counts.shape[1:]}, votes of {votes.shape[1:]}: they must be of "
            "one network"
        )
    if readout == "top_n" and top_n > votes.shape[1]:
        raise InputError(f"top_n={top_n}, but the network has only {votes.shape[1]} filters")
    counts = jnp.asarray(counts, jnp.float32).reshape(*counts.shape[:2], -1)
    votes = jnp.asarray(votes, jnp.float32).reshape(*votes.shape[:2], -1)
    return _scores(counts, votes, readout, top_n if readout == "top_n" else 1)


def require_calibrated(votes: jax.Array | np.ndarray | None) -> np.ndarray:
    """The votes, or an ``InputError`` if there are none yet (None).

    Votes of 0 throughout are those of a calibrated network that never spiked: it gives no labels.
    """
    if votes is None:
        raise InputError(
            "the network is not calibrated, it has no votes: count them with votes_from_counts"
        )
    return np.asarray(votes)


def ranked_labels(scores: ArrayLike) -> np.ndarray:
    """Labels by falling score (the smaller of equals first), ``[N, classes]``.

    Rows of an image without any score are ``NO_LABEL`` throughout.
    """
    scores = np.asarray(scores)
    ranks = np.argsort(-scores, axis=1, kind="stable")
    return np.where(scores.any(1, keepdims=True), ranks, NO_LABEL)


def predicted_labels(scores: ArrayLike) -> np.ndarray:
    """The label of the largest score (the smallest of equals), or ``NO_LABEL``; ``[N]``."""
    return ranked_labels(scores)[:, 0]


@dataclass(frozen=True)
class LinearReadout:
    """A linear classifier of spike counts.

    Attributes:
        coefficients: ``[C, neurons]``.
        intercepts: ``[C]``.
        classes: ``[C]`` labels that it was fitted on; others are never chosen.
    """

    coefficients: np.ndarray
    intercepts: np.ndarray
    classes: np.ndarray

    def scores(self, counts: np.ndarray) -> np.ndarray:
        """Signed distances ``[N, C]``, one column per entry of ``classes``."""
        flat = _checked_counts(counts).reshape(len(counts), -1)
        if flat.shape[1] != self.coefficients.shape[1]:
            raise InputError(
                f"counts of {flat.shape[1]} neurons, the linear readout has "
                f"{self.coefficients.shape[1]}: they must be of one network"
            )
        return flat @ self.coefficients.T + self.intercepts

    def predict(self, counts: np.ndarray) -> np.ndarray:
        """The label of the largest score, ``[N]``."""
        return self.classes[self.scores(counts).argmax(1)]


def fit_linear(
    counts: np.ndarray, labels: np.ndarray, num_classes: int = 10, seed: int | None = 0
) -> LinearReadout:
    """Fits scikit-learn's ``SGDClassifier`` as it comes: hinge loss, L2 of 1e-4, raw counts.

    Args:
        counts: ``[N, filters, ...]`` spikes per image.
        labels: ``[N]`` in [0, num_classes).
        num_classes: number of labels; a ``MissingClassWarning`` names those without images.
        seed: of the order in which examples are taken; None draws one, as the published program
            did.

    Returns:
        The classifier.

    Raises:
        InputError: shapes or labels that do not fit, or examples of one label only.
    """
    from sklearn.linear_model import SGDClassifier  # takes a second to import

    counts, labels, sizes = _checked_calibration(counts, labels, num_classes)
    if np.count_nonzero(sizes) < 2:
        raise InputError("a linear readout needs calibration images of two labels or more")
    model = SGDClassifier(random_state=seed)
    model.fit(counts.reshape(len(counts), -1).astype(np.float64), labels)
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps the second label's half only
        coefficients = np.concatenate([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    return LinearReadout(coefficients, intercepts, model.classes_)


@partial(jax.jit, static_argnames=("readout", "top_n"))
def _scores(counts: jax.Array, votes: jax.Array, readout: str, top_n: int) -> jax.Array:
    def of_image(count: jax.Array) -> jax.Array:
        if readout == "spikes_first":
            first = jnp.argmax(count, axis=0)
            count = jnp.where(jnp.arange(len(count))[:, None] == first[None], count, 0.0)
        weighted = count[None] * votes
        if readout == "patch_voting":
            weighted = weighted.max(axis=1, keepdims=True)
        elif readout == "top_n":
            weighted, _ = jax.lax.top_k(jnp.moveaxis(weighted, 1, -1), top_n)
        return weighted.sum(axis=(1, 2))

    return jax.lax.map(of_image, counts, batch_size=min(64, len(counts)))


def _checked_counts(counts: ArrayLike) -> np.ndarray:
    counts = np.asarray(counts)
    if counts.ndim < 2 or len(counts) == 0:
        raise InputError(f"counts of shape {counts.shape}: give [N, filters, ...] of N > 0 images")
    if counts.min() < 0:
        raise InputError(f"counts have {counts.min()}: numbers of spikes are 0 or more")
    return counts


def _checked_calibration(
    counts: ArrayLike, labels: ArrayLike, num_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts, labels, and the number of images of each label; warns where that is 0."""
    counts, labels = _checked_counts(counts), np.asarray(labels)
    if labels.shape != (len(counts),):
        raise InputError(f"labels of shape {labels.shape} for the counts of {len(counts)} images")
    if labels.min() < 0 or labels.max() >= num_classes:
        raise InputError(
            f"labels from {labels.min()} to {labels.max()}: must be 0 to {num_classes - 1}"
        )
    sizes = np.bincount(labels, minlength=num_classes)
    missing = np.flatnonzero(sizes == 0)
    if len(missing):
        warnings.warn(
            f"no calibration image of class {', '.join(map(str, missing))}: never chosen; more "
            "images (spiking.calibration_images) may have some",
            MissingClassWarning,
            stacklevel=3,
        )
    return counts, labels, sizes

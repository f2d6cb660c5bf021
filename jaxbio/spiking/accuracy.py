"""How good a readout is: accuracy with its error, by class, by n, by calibration images."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.spiking.readouts import (
    NO_LABEL,
    check_readout,
    fit_linear,
    predicted_labels,
    require_calibrated,
    votes_from_counts,
    voting_scores,
)


@dataclass(frozen=True)
class Accuracy:
    """What a readout got right.

    Attributes:
        accuracy: share of right answers, in [0, 1].
        error: its standard error, ``sqrt(accuracy (1 - accuracy) / count)``.
        count: images.
        per_class: ``[C]`` accuracy on the images of each class; NaN where there are none.
        confusion: ``[C, C + 1]`` numbers of images: true label, given label; the last column has
            the images that were given none.
    """

    accuracy: float
    error: float
    count: int
    per_class: np.ndarray
    confusion: np.ndarray

    def record(self) -> dict[str, Any]:
        """The same as JSON-able values; a class without images is null."""
        per_class = [None if np.isnan(a) else float(a) for a in self.per_class]
        return {**vars(self), "per_class": per_class, "confusion": self.confusion.tolist()}


def measure_accuracy(
    predictions: np.ndarray, labels: np.ndarray, num_classes: int = 10
) -> Accuracy:
    """Compares given labels with true ones.

    Args:
        predictions: ``[N]`` in [0, num_classes), or ``NO_LABEL``.
        labels: ``[N]`` in [0, num_classes).
        num_classes: number of labels.

    Raises:
        InputError: no images, or lengths that differ.
    """
    predictions, labels = np.asarray(predictions), np.asarray(labels)
    if predictions.shape != labels.shape or labels.ndim != 1 or len(labels) == 0:
        raise InputError(
            f"predictions of shape {predictions.shape}, labels of {labels.shape}: must be one for "
            "one, and not empty"
        )
    given = np.where(predictions == NO_LABEL, num_classes, predictions)
    confusion = np.zeros((num_classes, num_classes + 1), np.int64)
    np.add.at(confusion, (labels, given), 1)
    sizes = confusion.sum(1)
    right = np.diagonal(confusion)
    accuracy = right.sum() / len(labels)
    return Accuracy(
        accuracy=float(accuracy),
        error=float(np.sqrt(accuracy * (1 - accuracy) / len(labels))),
        count=len(labels),
        per_class=np.where(sizes > 0, right / np.maximum(sizes, 1), np.nan),
        confusion=confusion,
    )


def read_out(
    readout: str,
    calibration: tuple[np.ndarray, np.ndarray],
    counts: np.ndarray,
    num_classes: int = 10,
    *,
    top_n: int = 1,
    seed: int | None = 0,
) -> np.ndarray:
    """Calibrates a readout on recorded activity and applies it.

    Args:
        readout: one of ``jaxbio.spiking.readouts.READOUTS``.
        calibration: counts ``[M, filters, ...]`` and labels ``[M]``.
        counts: ``[N, filters, ...]`` of the images to label.
        num_classes: number of labels.
        top_n: of the readout ``top_n``.
        seed: of the linear readout.

    Returns:
        Labels ``[N]``.

    Raises:
        InputError: an unknown readout, shapes or labels that do not fit.
    """
    check_readout(readout, top_n)
    if readout == "linear":
        return fit_linear(*calibration, num_classes, seed).predict(counts)
    votes = votes_from_counts(*calibration, num_classes)
    return predicted_labels(voting_scores(counts, votes, readout, top_n))


def accuracy_by_n(
    counts: np.ndarray, labels: np.ndarray, votes: jax.Array | np.ndarray
) -> dict[int, Accuracy]:
    """Accuracy of ``top_n`` voting for n of powers of two and the number of filters, in order.

    Args:
        counts: ``[N, filters, ...]``.
        labels: ``[N]``.
        votes: ``[classes, filters, ...]``.
    """
    filters = np.shape(votes)[1]
    ns = sorted({1 << k for k in range(filters.bit_length())} | {filters})
    return {
        n: measure_accuracy(
            predicted_labels(voting_scores(counts, votes, "top_n", n)), labels, len(votes)
        )
        for n in ns
    }


def accuracy_by_calibration(
    readout: str,
    calibration: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    sizes: Sequence[int],
    num_classes: int = 10,
    *,
    top_n: int = 1,
) -> dict[int, Accuracy]:
    """Accuracy after calibration with the first images only.

    Args:
        readout: one of ``jaxbio.spiking.readouts.READOUTS``.
        calibration: counts ``[M, filters, ...]`` and labels ``[M]``.
        test: the same of the test images.
        sizes: numbers of calibration images, up to M.
        num_classes: number of labels.
        top_n: of the readout ``top_n``.

    Returns:
        An :class:`Accuracy` per size.

    Raises:
        InputError: a size that is not in 1..M.
    """
    counts, labels = calibration
    for size in sizes:
        if not 1 <= size <= len(labels):
            raise InputError(f"sizes has {size}: there are {len(labels)} calibration images")
    return {
        size: measure_accuracy(
            read_out(readout, (counts[:size], labels[:size]), test[0], num_classes, top_n=top_n),
            test[1],
            num_classes,
        )
        for size in sizes
    }


def votes_distribution(votes: jax.Array | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How specialised the neurons are: their votes by rank.

    Each neuron's votes are sorted by size and divided by their sum. A neuron of one label has 1 and
    then zeros; one that says nothing has equal shares.

    Args:
        votes: ``[classes, filters, ...]``.

    Returns:
        Mean and standard deviation over the neurons that vote at all, ``[classes]`` each.

    Raises:
        InputError: an uncalibrated network, or one that never spiked.
    """
    flat = require_calibrated(votes).reshape(len(votes), -1).astype(np.float64)
    flat = flat[:, flat.any(0)]
    if flat.size == 0:
        raise InputError("no neuron has votes: the network never spiked")
    shares = -np.sort(-flat / flat.sum(0), axis=0)
    return shares.mean(1), shares.std(1)

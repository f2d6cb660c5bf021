"""The n-gram readout: labels from the order in which neurons fire.

The neurons that fire, in order of time (by number within a step), are a sequence; every n
neighbours in it are an n-gram. Calibration counts how often each n-gram came with each label; an
image's score for a label is the sum of these counts over its n-grams.

Reference:
    Saunders et al. 2019, "Locally connected spiking neural networks for unsupervised feature
    learning", arXiv 1904.06269; Hazan et al. 2018, arXiv 1807.09374.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxbio.errors import InputError
from jaxbio.spiking.readouts import NO_LABEL


def firing_order(spikes: np.ndarray) -> np.ndarray:
    """The neurons that fire, in order.

    Args:
        spikes: bool ``[steps, neurons]``.

    Returns:
        int64 ``[spikes in all]``.
    """
    return np.nonzero(np.asarray(spikes))[1]


@dataclass(frozen=True)
class NGrams:
    """A calibrated readout.

    Attributes:
        n: length of the sequences.
        neurons: of the network.
        codes: int64 ``[K]``, the n-grams that were met, sorted.
        counts: float64 ``[K, classes]``, how often with each label.
    """

    n: int
    neurons: int
    codes: np.ndarray
    counts: np.ndarray

    def predict(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """The label of the largest score (the smallest of equals), ``[N]``; ``NO_LABEL`` where no
        n-gram is known.

        Args:
            orders: of :func:`firing_order`, one per image.
        """
        labels = np.full(len(orders), NO_LABEL)
        for number, order in enumerate(orders):
            codes = _codes(order, self.n, self.neurons)
            places = np.searchsorted(self.codes, codes)
            places = np.minimum(places, len(self.codes) - 1)
            known = places[self.codes[places] == codes] if len(self.codes) else places[:0]
            if len(known):
                labels[number] = self.counts[known].sum(0).argmax()
        return labels


def fit_ngrams(
    orders: Sequence[np.ndarray],
    labels: np.ndarray,
    neurons: int,
    n: int = 2,
    num_classes: int = 10,
) -> NGrams:
    """Calibrates.

    Args:
        orders: of :func:`firing_order`, one per calibration image.
        labels: ``[N]`` in [0, num_classes).
        neurons: of the network.
        n: length of the sequences, 1 or more.
        num_classes: number of labels.

    Raises:
        InputError: an n that is not possible, or as many labels as there are no images.
    """
    labels = np.asarray(labels)
    if n < 1 or neurons**n > 2**62:
        most = int(62 / np.log2(max(neurons, 2)))
        raise InputError(f"n={n}: n-grams of {neurons} neurons take 1 to {most}")
    if len(orders) != len(labels) or len(labels) == 0:
        raise InputError(f"{len(labels)} labels for {len(orders)} images: must be one for one")
    each = [_codes(order, n, neurons) for order in orders]
    codes, places = np.unique(np.concatenate(each), return_inverse=True)
    counts = np.zeros((len(codes), num_classes))
    np.add.at(counts, (places, np.repeat(labels, [len(one) for one in each])), 1)
    return NGrams(n, neurons, codes, counts)


def _codes(order: np.ndarray, n: int, neurons: int) -> np.ndarray:
    """A number for each n neighbours."""
    count = max(0, len(order) - n + 1)
    codes = np.zeros(count, np.int64)
    for offset in range(n):
        codes = codes * neurons + order[offset : offset + count]
    return codes

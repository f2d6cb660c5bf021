"""Accuracies, confusion, dependence on n and on calibration."""

import json

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.spiking.accuracy import (
    accuracy_by_calibration,
    accuracy_by_n,
    measure_accuracy,
    read_out,
    votes_distribution,
)
from jaxbio.spiking.readouts import READOUTS, votes_from_counts


def activity(n: int, seed: int):
    """Filters that prefer one label each, 3 labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    preference = 1 + 5 * np.eye(3).repeat(2, 1)[labels]
    return rng.poisson(preference[:, :, None, None], (n, 6, 2, 2)), labels


def test_accuracy_by_hand():
    measured = measure_accuracy([0, 1, -1, 0], [0, 1, 1, 1], num_classes=3)
    assert (measured.accuracy, measured.error, measured.count) == (0.5, 0.25, 4)
    np.testing.assert_array_equal(measured.per_class, [1, 1 / 3, np.nan])
    np.testing.assert_array_equal(measured.confusion, [[1, 0, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0]])
    assert json.loads(json.dumps(measured.record()))["per_class"] == [1, pytest.approx(1 / 3), None]


@pytest.mark.parametrize("readout", READOUTS)
def test_every_readout_reads_specialised_filters(readout):
    counts, labels = activity(60, 1)
    given = read_out(readout, activity(60, 0), counts, 3, top_n=2)
    assert (given == labels).mean() > 0.9


def test_by_n_covers_one_to_all():
    counts, labels = activity(30, 1)
    votes = votes_from_counts(*activity(60, 0), 3)
    by_n = accuracy_by_n(counts, labels, votes)
    assert list(by_n) == [1, 2, 4, 6]
    for n, readout in ((1, "patch_voting"), (6, "all_voting")):
        given = read_out(readout, activity(60, 0), counts, 3)
        assert by_n[n].accuracy == measure_accuracy(given, labels, 3).accuracy


def test_by_calibration():
    by_size = accuracy_by_calibration("all_voting", activity(60, 0), activity(30, 1), [3, 60], 3)
    given = read_out("all_voting", activity(60, 0), activity(30, 1)[0], 3)
    assert by_size[60].accuracy == measure_accuracy(given, activity(30, 1)[1], 3).accuracy
    with pytest.raises(InputError, match="sizes has 61"):
        accuracy_by_calibration("all_voting", activity(60, 0), activity(30, 1), [61], 3)


def test_votes_distribution():
    votes = np.zeros((3, 4))
    votes[:, 0] = [1, 6, 3]
    votes[1, 1] = 2.0
    mean, std = votes_distribution(votes)  # two silent neurons do not count
    np.testing.assert_allclose(mean, [0.8, 0.15, 0.05])
    np.testing.assert_allclose(std, [0.2, 0.15, 0.05])
    with pytest.raises(InputError, match="never spiked"):
        votes_distribution(0 * votes)


def test_lengths_must_agree():
    with pytest.raises(InputError, match="one for one"):
        measure_accuracy([1, 2], [1])
    with pytest.raises(InputError, match="not empty"):
        measure_accuracy([], [])

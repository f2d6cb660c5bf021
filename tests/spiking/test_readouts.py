"""Voting by hand, degenerate calibrations, and errors."""

import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.spiking.accuracy import read_out
from jaxbio.spiking.readouts import (
    MissingClassWarning,
    check_readout,
    fit_linear,
    predicted_labels,
    ranked_labels,
    votes_from_counts,
    voting_scores,
)

# 2 labels, 3 filters, 2 positions.
VOTES = np.array([[[1, 0], [2, 0], [0, 3]], [[0, 1], [1, 1], [4, 0]]], np.float32)
COUNTS = np.array([[[2, 1], [2, 0], [1, 1]]])


def noise(n=40, classes=4, filters=3):
    rng = np.random.default_rng(2)
    return rng.poisson(3, (n, filters, 2, 2)), rng.integers(0, classes, n)


@pytest.mark.parametrize(
    ("readout", "top_n", "expected"),
    [
        ("patch_voting", 1, [4 + 3, 4 + 1]),
        ("all_voting", 1, [2 + 4 + 0 + 3, 0 + 2 + 4 + 1]),
        ("spikes_first", 1, [2 + 0, 0 + 1]),  # the first filter of equals
        ("top_n", 1, [7, 5]),
        ("top_n", 2, [2 + 4 + 3, 2 + 4 + 1]),
        ("top_n", 3, [9, 7]),
    ],
)
def test_scores_by_hand(readout, top_n, expected):
    scores = voting_scores(COUNTS, VOTES, readout, top_n)
    np.testing.assert_array_equal(scores, [expected])


def test_many_images_are_scored_like_one():
    counts, labels = noise(150)
    votes = votes_from_counts(counts, labels, 4)
    together = voting_scores(counts, votes, "patch_voting")
    p = counts[:, None].reshape(150, 1, 3, 4) * votes.reshape(1, 4, 3, 4)
    np.testing.assert_allclose(together, p.max(2).sum(-1), rtol=1e-5)


def test_without_positions():
    scores = voting_scores(COUNTS[:, :, 0], VOTES[:, :, 0], "patch_voting")
    np.testing.assert_array_equal(scores, [[4, 4]])
    np.testing.assert_array_equal(ranked_labels(scores), [[0, 1]])


def test_silence_has_no_label():
    scores = voting_scores(np.zeros((1, 3, 2)), VOTES)
    assert predicted_labels(scores) == [-1]
    np.testing.assert_array_equal(ranked_labels(scores), [[-1, -1]])


@pytest.mark.parametrize("readout", ["patch_voting", "all_voting", "linear"])
def test_a_class_missing_from_calibration_is_never_chosen(readout):
    counts, labels = noise()
    labels[labels == 2] = 3
    with pytest.warns(MissingClassWarning, match="no calibration image of class 2: never chosen"):
        given = read_out(readout, (counts, labels), counts, 4)
    assert 2 not in given
    assert len(set(given)) > 1


def test_linear_readout_is_the_classifier_and_seeded():
    from sklearn.linear_model import SGDClassifier

    counts, labels = noise()
    ours = fit_linear(counts, labels, 4, seed=3)
    flat = counts.reshape(40, -1)
    theirs = SGDClassifier(random_state=3).fit(flat, labels)
    np.testing.assert_array_equal(ours.predict(counts), theirs.predict(flat))
    np.testing.assert_allclose(ours.scores(counts), theirs.decision_function(flat))
    assert (ours.coefficients != fit_linear(counts, labels, 4, seed=4).coefficients).any()


def test_linear_readout_of_two_classes():
    counts, labels = noise(classes=2)
    counts[labels == 1] += 5
    assert (fit_linear(counts, labels, 2).predict(counts) == labels).mean() > 0.9


def test_an_uncalibrated_network_cannot_vote():
    with pytest.raises(InputError, match="not calibrated"):
        voting_scores(COUNTS, None)


def test_a_network_that_never_spiked_gives_no_labels():
    votes = votes_from_counts(np.zeros((2, 3, 2)), [0, 1], 2)
    assert predicted_labels(voting_scores(COUNTS, votes)) == [-1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_readout("votes"), "unknown readout 'votes': use patch_voting"),
        (lambda: check_readout("top_n", 0), "top_n=0"),
        (lambda: voting_scores(COUNTS, VOTES, "mean"), "unknown readout 'mean'"),
        (lambda: voting_scores(COUNTS, VOTES, "linear"), "does not vote"),
        (lambda: voting_scores(COUNTS, VOTES, "top_n", 4), "only 3 filters"),
        (lambda: voting_scores(COUNTS[:, :2], VOTES), "one network"),
        (lambda: voting_scores(-COUNTS, VOTES), "counts have -2"),
        (lambda: voting_scores(COUNTS[0, 0], VOTES), r"counts of shape \(2,\)"),
        (lambda: votes_from_counts(COUNTS, [0, 1]), r"labels of shape \(2,\)"),
        (lambda: votes_from_counts(COUNTS, [7], 2), "labels from 7 to 7"),
        (lambda: fit_linear(*noise(classes=1), 1), "two labels"),
        (lambda: fit_linear(*noise()[:2], 4).predict(COUNTS), "6 neurons"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()

"""The n-gram readout, and networks with parts deleted."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.spiking.lesions import delete_neurons, delete_synapses
from jaxbio.spiking.network import Weights
from jaxbio.spiking.ngrams import firing_order, fit_ngrams


def test_order_is_by_time_then_by_number():
    spikes = np.zeros((4, 5), bool)
    spikes[0, 3] = spikes[2, 4] = spikes[2, 1] = spikes[3, 3] = True
    assert firing_order(spikes).tolist() == [3, 1, 4, 3]


def test_scores_are_counts_of_neighbours():
    orders = [np.array(o) for o in ([0, 1, 2], [0, 1], [2, 1, 0], [1])]
    readout = fit_ngrams(orders, np.array([0, 0, 1, 1]), neurons=3, n=2, num_classes=2)
    unseen = [np.array(o) for o in ([0, 1, 0, 1, 0], [2, 1], [2, 0], [], [1])]
    # (0,1) twice with label 0; (1,0) once with 1: 2 * 2 against 2 * 1; unknown or none: no label
    assert readout.predict(unseen).tolist() == [0, 1, -1, -1, -1]


def test_single_neurons_are_1_grams():
    orders = [np.array([0, 0, 1]), np.array([1, 1])]
    readout = fit_ngrams(orders, np.array([0, 1]), neurons=2, n=1, num_classes=2)
    assert readout.predict([np.array([0]), np.array([1])]).tolist() == [0, 1]


@pytest.mark.parametrize("n", [0, 100])
def test_impossible_lengths(n):
    with pytest.raises(InputError, match="n-grams of 3 neurons"):
        fit_ngrams([np.array([1])], np.array([0]), neurons=3, n=n)


def test_deletions_take_their_share():
    weights = Weights(jnp.ones((4, 50, 20)), jnp.zeros((4, 20)))
    key = jax.random.key(0)
    kept = np.asarray(delete_synapses(weights, key, 0.75).xy)
    assert abs((kept > 0).mean() - 0.25) < 0.03
    np.testing.assert_allclose(kept.sum(1), 50, rtol=1e-5)  # of every neuron, as before
    theta = np.asarray(delete_neurons(weights, key, 0.5).theta)
    assert 0.3 < (theta > 1e6).mean() < 0.7
    assert (np.asarray(delete_synapses(weights, key, 0.0).xy) == 1).all()
    assert not np.asarray(delete_synapses(weights, key, 1.0).xy).any()
    with pytest.raises(InputError, match="share"):
        delete_neurons(weights, key, 1.5)


def test_the_longest_ngrams_fit_their_codes():
    order = np.arange(31) % 4  # 4**31 codes are 2**62
    assert fit_ngrams([order, order[::-1]], np.array([3, 5]), 4, n=31).predict([order]) == [3]
    with pytest.raises(InputError, match="n=32: n-grams of 4 neurons take 1 to 31"):
        fit_ngrams([order], np.array([3]), 4, n=32)

"""Shapes, constants, initial weights, and the order of neurons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.spiking import competition
from jaxbio.spiking.network import (
    Network,
    Parameters,
    from_published_order,
    initial_weights,
    published_order,
)


def test_windows_tile_the_input():
    network = Network(kernel=12, stride=4, crop=20)
    windows = network.window_pixels()
    picture = np.arange(400).reshape(20, 20)
    assert windows.shape == (9, 144)
    np.testing.assert_array_equal(windows[5].reshape(12, 12), picture[4:16, 8:20])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kernel": 11}, "kernel=11.*stride=4.*crop=20"),
        ({"kernel": 24}, "kernel=24"),
        ({"stride": 3}, "stride=3"),
        ({"filters": 0}, "filters=0"),
        ({"kind": "cnn"}, "kind='cnn'"),
        ({"kind": "fc"}, "kernel=12"),
        ({"dt": 0.0}, "dt=0.0"),
    ],
)
def test_wrong_shapes_are_named(changes, words):
    with pytest.raises(InputError, match=words) as error:
        Network(**changes)
    assert "\n" not in str(error.value)


def test_published_order_is_filter_major():
    network = Network(filters=3)
    values = np.arange(27.0).reshape(9, 3)  # [positions, filters]
    flat = np.asarray(published_order(jnp.asarray(values)))
    assert flat[2 * 9 + 4] == values[4, 2]
    np.testing.assert_array_equal(from_published_order(flat, network), values)


@pytest.mark.parametrize("kind", ["lc", "c", "fc"])
def test_initial_weights(kind):
    network = Network(kind=kind, filters=4, kernel=20 if kind == "fc" else 12)
    weights = initial_weights(network, Parameters(mean_weight=0.3), jax.random.key(0))
    sums = np.asarray(weights.xy.sum(1))
    if kind == "c":  # normalised after the first image only
        assert weights.xy.shape == (1, 144, 4)
        assert np.abs(sums - 0.5 * network.window).max() < 10
    else:
        np.testing.assert_allclose(sums, 0.3 * network.window, rtol=1e-5)
    assert weights.yy is None


def test_trained_competition_starts_within_positions_and_is_clamped():
    network = Network(filters=4, trained_competition=True)
    parameters = Parameters(c_w=-150.0, c_w_max=-100.0)
    yy = np.asarray(initial_weights(network, parameters, jax.random.key(0)).yy)
    inside = network.same_position()
    assert (yy[~inside] == -100).all()
    assert (yy <= -100).all()
    assert yy[inside].min() < -120


def test_mask_keeps_positions_of_lc_only():
    for kind, kept in (("lc", 9 * 4 * 3), ("c", 36 * 36)):
        network = Network(kind=kind, filters=4, trained_competition=True)
        weights = initial_weights(network, Parameters(), jax.random.key(0))
        weights = competition.fill(network, Parameters(), weights)
        masked = competition.mask(weights, competition.allowed_pairs(network))
        assert np.count_nonzero(masked.yy) == kept
    assert np.count_nonzero(competition.clear(weights.yy)) == 0

"""Recording from layers whose receptive fields are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.physiology import protocol
from jaxbio.physiology.receptive_fields import FieldCollector, find_central_units
from jaxbio.physiology.recording import Probe, View, firing_rate_scale, firing_rates
from jaxbio.physiology.stimuli import GREY

_VIEW = View(64, 8.0)
_CENTRES = np.array([(0.5, 0.5), (-1.0, 0.25), (0.55, 0.45), (0.5, 0.0), (2.0, -2.0)])


@pytest.fixture(autouse=True)
def _coarse_pictures(monkeypatch):
    """Pictures drawn at the view's own resolution cost a fiftieth of the published ones."""
    monkeypatch.setattr(protocol, "PIXELS_PER_DEGREE", 8)


def _windows():
    """How much each unit sees of each pixel, ``[pixels, units]``."""
    axis = (np.arange(64) - 32) / 8
    distance = (axis.reshape(1, -1, 1) - _CENTRES[:, 0].reshape(-1, 1, 1)) ** 2
    distance = distance + (axis.reshape(1, 1, -1) - _CENTRES[:, 1].reshape(-1, 1, 1)) ** 2
    return np.exp(-distance / 0.18).reshape(len(_CENTRES), -1).T.astype(np.float32)


@jax.jit
def _energy(images, key):
    """Units that answer to any departure from grey in their window."""
    contrast = jnp.abs(images[..., 0].astype(jnp.float32) - GREY)
    return contrast.reshape(len(images), -1) @ _windows()


@jax.jit
def _noisy(images, key):
    return _energy(images, key) + 5 * jax.random.normal(key, (len(images), len(_CENTRES)))


def test_receptive_fields_are_found_where_they_are():
    fields = find_central_units(Probe(_energy, _VIEW))
    np.testing.assert_array_equal(fields.units, [0, 2])
    np.testing.assert_allclose(fields.position_yx, _CENTRES[[0, 2]], atol=0.05)
    assert fields.answered == len(_CENTRES)
    assert fields.maps.shape == (2, 21, 21)
    best = np.unravel_index(fields.maps[0].argmax(), (21, 21))
    np.testing.assert_allclose(protocol.POSITIONS[list(best)], 0.5, atol=0.26)


@pytest.mark.parametrize("change", [{"batch": 24}, {"memory": 3000}])
@pytest.mark.slow
def test_batches_and_memory_change_nothing(change):
    memory = change.pop("memory", 2**30)
    usual = find_central_units(Probe(_energy, _VIEW))
    other = find_central_units(Probe(_energy, _VIEW, **change), memory=memory)
    np.testing.assert_array_equal(other.units, usual.units)
    np.testing.assert_allclose(other.maps, usual.maps, rtol=1e-5)
    assert other.answered == usual.answered


def test_little_memory_cuts_the_range_of_units():
    rng = np.random.default_rng(0)
    answers = rng.uniform(0.5, 1, (9, 100))
    fields = FieldCollector(0, 100, 9, limit=200)
    for answer in answers:
        fields.add(answer)
    assert 0 < fields.stop < 100
    everything = FieldCollector(0, 100, 9, limit=10**6)
    for answer in answers:
        everything.add(answer)
    axis = np.array([-1.0, 0, 1])
    np.testing.assert_array_equal(fields.centroids(axis), everything.centroids(axis)[: fields.stop])


def test_responses_are_those_of_the_pictures_in_order():
    probe = Probe(_energy, _VIEW)
    parameters = protocol.size_set().parameters[::137]
    answers = probe.responses(parameters, np.array([2, 0]))
    assert answers.shape == (2, len(parameters))
    assert len(parameters) % 8
    pictures = _VIEW.gratings(parameters)
    np.testing.assert_allclose(answers, np.asarray(_energy(pictures, None)).T[[2, 0]], rtol=1e-5)


def test_trials_are_averaged_and_repeatable():
    parameters = protocol.size_set().parameters[:16]
    units = np.arange(len(_CENTRES))
    exact = Probe(_energy, _VIEW).responses(parameters, units)
    errors = {}
    for trials in (1, 64):
        probe = Probe(_noisy, _VIEW, trials=trials)
        answers = probe.responses(parameters, units)
        np.testing.assert_array_equal(answers, probe.responses(parameters, units))
        far = exact > 50  # from the rectification
        errors[trials] = np.std((answers - exact)[far])
    assert errors[64] < errors[1] / 5
    other = dataclasses.replace(probe, seed=1).responses(parameters, units)
    assert (other != answers).any()


def test_the_blank_is_grey_and_negative_activity_is_no_activity():
    assert (np.asarray(_VIEW.blank()) == GREY).all()
    probe = Probe(lambda images, key: _energy(images, key) - 1, _VIEW)
    np.testing.assert_array_equal(probe.blank(), np.zeros(len(_CENTRES)))


@pytest.mark.parametrize(
    ("activity", "view", "match"),
    [
        (lambda images, key: jnp.zeros((len(images), 4)), _VIEW, "no unit"),
        (lambda images, key: _energy(images, key)[:, 1:2], _VIEW, "none of the 1"),
        (_energy, View(32, 5.0), "degrees=5"),
    ],
)
def test_layers_that_cannot_be_recorded(activity, view, match):
    with pytest.raises(InputError, match=match):
        find_central_units(Probe(activity, view))


def test_rates_get_the_medians_of_the_monkey():
    rng = np.random.default_rng(0)
    activity = rng.uniform(0.1, 2, (51, 3, 4, 12, 8))
    blank = rng.uniform(0, 0.1, 51)
    scale = firing_rate_scale(activity, blank)
    rates = firing_rates(activity, *scale)
    best = rates.mean(-1).reshape(51, -1).max(1)
    np.testing.assert_allclose(np.median(best), 33.8, rtol=0.01)
    np.testing.assert_allclose(np.median(firing_rates(blank, *scale)), 0.82, rtol=0.01)
    assert firing_rates(np.array([-1.0]), 1.0, 0.5) == 0.5
    with pytest.raises(InputError, match="51 units"):
        firing_rate_scale(np.zeros((51, 1, 8)), np.ones(51))


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 8, "degrees": 0.0}])
def test_views_that_show_nothing(wrong):
    with pytest.raises(InputError, match="degrees"):
        View(**wrong)


def test_a_probe_needs_trials_and_a_whole_position():
    with pytest.raises(InputError, match="trials=0"):
        Probe(_energy, _VIEW, trials=0)
    with pytest.raises(InputError, match="batch=4"):
        Probe(_energy, _VIEW, batch=4)

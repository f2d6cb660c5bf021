"""Layers that are shown parts of pictures answer as to the whole ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.physiology import protocol
from jaxbio.physiology.receptive_fields import find_central_units
from jaxbio.physiology.recording import Probe, View

_VIEW = View(64, 8.0)


@pytest.fixture(autouse=True)
def _coarse_protocol(monkeypatch):
    monkeypatch.setattr(protocol, "PIXELS_PER_DEGREE", 8)
    monkeypatch.setattr(protocol, "POSITIONS", np.linspace(-2.5, 2.5, 11))


def _layer(seen, *, stride=2, padding=2, more=lambda maps: maps, only_size=None):
    """A convolution to three channels; ``seen`` collects the sides of the pictures."""
    kernel = np.random.default_rng(0).normal(size=(5, 5, 3, 3)).astype(np.float32)

    def activity(images, key):
        if only_size not in (None, images.shape[1]):
            raise ValueError(f"pictures of {images.shape[1]} pixels")
        seen.add(images.shape[1])
        maps = jax.lax.conv_general_dilated(
            images / 255.0 - 0.5,
            kernel,
            (stride, stride),
            ((padding, padding), (padding, padding)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        return jax.nn.relu(more(maps) + 0.1).reshape(len(images), -1)

    return activity


def _twice(activity, shape):
    """Fields and answers of the units found: whole pictures, and parts where they suffice."""
    found = []
    for given in (None, shape):
        probe = Probe(activity, _VIEW, shape=given)
        fields = find_central_units(probe)
        answers = probe.responses(protocol.size_set().parameters[::149], fields.units)
        found.append((fields, answers))
    (fields, answers), (others, others_answers) = found
    np.testing.assert_array_equal(others.units, fields.units)
    np.testing.assert_allclose(others.maps, fields.maps, atol=1e-5 * fields.maps.max())
    np.testing.assert_allclose(others_answers, answers, atol=1e-5 * answers.max())


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, 32),
        pytest.param({"padding": 0}, 30, marks=pytest.mark.slow),
        pytest.param({"stride": 4}, 16, marks=pytest.mark.slow),
        ({"stride": 3}, 22),
        ({"more": lambda maps: jax.lax.cumsum(maps, 3)}, 32),
    ],
)
def test_a_convolution_is_shown_parts(options, rows):
    seen: set[int] = set()
    _twice(_layer(seen, **options), (rows, rows, 3))
    parts = {size for size in seen if size < 45}
    assert len(parts) == 2  # one for the map, one for the units


@pytest.mark.parametrize(
    "options",
    [
        {"more": lambda maps: maps - maps.mean((1, 2), keepdims=True)},
        {"only_size": 64},
        {"more": lambda maps: maps + jnp.linspace(0, 1, maps.shape[1]).reshape(1, -1, 1, 1)},
    ],
)
@pytest.mark.slow
def test_layers_that_need_the_whole_answer_as_before(options):
    seen: set[int] = set()
    _twice(_layer(seen, **options), (32, 32, 3))


def test_noise_stays_the_same():
    seen: set[int] = set()
    quiet = _layer(seen)

    def noisy(images, key):
        return quiet(images, key) + jax.random.normal(key, (len(images), 1))

    units = np.arange(1500, 1503)
    parameters = protocol.size_set().parameters[:8]
    usual = Probe(noisy, _VIEW).responses(parameters, units)
    probe = Probe(noisy, _VIEW, shape=(32, 32, 3))
    np.testing.assert_array_equal(probe.responses(parameters, units), usual)


def test_time_steps_share_a_part():
    seen: set[int] = set()
    quiet = _layer(seen)

    def in_time(images, key):
        activity = quiet(images, key)
        return jnp.concatenate([activity, 2 * activity], 1)

    _twice(in_time, (2, 32, 32, 3))
    assert min(seen) < 45

"""The Gabor V1 under the electrode: its filters are known, so its tuning is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models.front_end import PIXELS_PER_DEGREE, V1
from jaxbio.ops.gabor import gabor_kernels, sample_gabor_parameters
from jaxbio.physiology import properties, protocol
from jaxbio.physiology.recording import (
    Probe,
    View,
    firing_rate_scale,
    firing_rates,
)

_SF_MAX = 6.0
_KERNEL = 25


def _record(probe, units):
    """Rates of the units at all sets, and at the blank."""
    blank, answers = probe.blank()[units], {}
    for name, design in protocol.SETS.items():
        parameters, shape = design()
        answers[name] = probe.responses(parameters, units).reshape(len(units), *shape)
    scale = firing_rate_scale(answers["orientation"], blank)
    rates = {name: firing_rates(answer, *scale) for name, answer in answers.items()}
    return rates, firing_rates(blank, *scale)


def _true_preferences(parameters, simple, resized):
    """Orientation and frequency of the strongest answer to large gratings, from the filters.

    A filter's answer to a grating is its Fourier coefficient. Where the envelope is shorter than
    the wave or longer than the kernel, that is strongest at another frequency than the nominal one.
    Pictures that are drawn finer and then resized have passed a triangle of two pixels besides.
    """
    offset = (np.arange(_KERNEL) - _KERNEL // 2) / PIXELS_PER_DEGREE
    orientations = np.arange(0, 180, 5.0)
    bins = len(protocol.SPATIAL_FREQUENCIES) - 1
    frequency = np.geomspace(*protocol.SPATIAL_FREQUENCIES[[0, -1]], 4 * bins + 1).reshape(-1, 1)
    angle = np.deg2rad(orientations).reshape(1, -1)
    phases = np.exp(2j * np.pi * np.arange(8) / 8)
    passed = np.ones(())
    if resized:
        across, down = (frequency * part(angle) / PIXELS_PER_DEGREE for part in (np.cos, np.sin))
        passed = (np.sinc(across) * np.sinc(down)) ** 2
    rows, columns = (
        np.exp(2j * np.pi * (frequency * part(angle))[..., None] * offset)
        for part in (np.sin, np.cos)
    )
    answers = []
    for quadrature in (0, 1):
        kernels = gabor_kernels(
            parameters,
            pixels_per_degree=PIXELS_PER_DEGREE,
            kernel_size=_KERNEL,
            quadrature=quadrature,
        )
        along = np.tensordot(kernels, columns, (2, 2))  # [units, i, frequencies, orientations]
        coefficient = np.einsum("foi,nifo->nfo", rows, along)
        answers.append(((coefficient * passed)[..., None] * phases).real)
    energy = np.sqrt((answers[0] ** 2 + answers[1] ** 2) / 2)
    rate = np.where(simple.reshape(-1, 1, 1, 1), np.maximum(answers[0], 0), energy).mean(-1)
    best = rate.reshape(len(rate), -1).argmax(1)
    best_frequency, best_orientation = np.unravel_index(best, rate.shape[1:])
    return orientations[best_orientation], frequency[best_frequency, 0]


def _assert_ground_truth(rates, blank, count, *, resized):
    """Every criterion of a unit is one bin of the protocol: 15 degrees, a quarter of an octave."""
    parameters = sample_gabor_parameters(2 * count, seed=0, sf_max=_SF_MAX)
    channels = np.arange(2 * count)
    simple = channels < count
    orientation, frequency = _true_preferences(parameters, simple, resized)

    found = properties.devalois1982a(rates["orientation"], blank)
    assert found.recorded.mean() > 0.9
    mine = channels[found.recorded]
    # Filters count their angle from the rows, gratings from the columns.
    for truth in (orientation[mine], 90 - parameters.theta[mine]):
        error = np.abs(found.values["preferred_orientation"] - truth) % 180
        close = np.minimum(error, 180 - error) <= 15
        for kind in (True, False):
            assert close[simple[found.recorded] == kind].mean() >= 0.95

    found = properties.devalois1982b(rates["spatial_frequency"], blank)
    mine = channels[found.recorded]
    octaves = np.log2(found.values["peak_spatial_frequency"] / frequency[mine])
    for kind in (True, False):
        assert (np.abs(octaves) <= 0.25)[simple[found.recorded] == kind].mean() >= 0.95
    waves = parameters.nx[mine] > 0.3  # a Gabor filter, not a blob
    octaves = np.log2(found.values["peak_spatial_frequency"] / parameters.sf[mine])
    assert (np.abs(octaves) <= 0.25)[waves].mean() >= 0.95

    found = properties.ringach2002(rates["orientation"], blank)
    above = found.values["modulation_ratio"] > 1
    assert (above == simple[found.recorded]).mean() >= 0.98

    if "size" in rates:
        found = properties.cavanaugh2002(rates["size"], blank)
        index = found.values["surround_suppression_index"]
        assert np.median(index) < 0.01
        assert np.quantile(index, 0.9) < 0.1


def _layer(size, degrees, stride, count, positions):
    """V1's cells at some grid positions (a slice), all of them in one axis."""
    v1 = V1(
        simple_channels=count,
        complex_channels=count,
        image_size=size,
        visual_degrees=degrees,
        stride=stride,
        sf_max=_SF_MAX,
    )
    variables = jax.jit(v1.init)(jax.random.key(0), jnp.zeros((1, size, size, 3)))

    @jax.jit
    def activity(images, key):
        _, endpoints = v1.apply(variables, (images / 255.0 - 0.5) / 0.5)
        return endpoints["v1"][:, positions, positions].reshape(len(images), -1)

    return activity


def test_small(monkeypatch):
    """64 pixels of the same grain, cells at one place."""
    monkeypatch.setattr(protocol, "PIXELS_PER_DEGREE", int(PIXELS_PER_DEGREE))
    degrees = 64 / PIXELS_PER_DEGREE
    # The cell at pixel 48, .07 degrees from the gratings' centre.
    activity = _layer(64, degrees, 16, 32, slice(3, 4))
    probe = Probe(activity, View(64, degrees), batch=64)
    rates, blank = _record(probe, np.arange(64))
    _assert_ground_truth(rates, blank, 32, resized=False)


@pytest.mark.slow
def test_full_size():
    """224 pixels over 8 degrees as published, through the published pictures of 448."""
    count, rows, place = 128, 56, 31  # the cell at pixel 124, .07 degrees from the gratings' centre
    activity = _layer(224, 8.0, 4, count, slice(None))
    units = (place * rows + place) * 2 * count + np.arange(2 * count)
    probe = Probe(activity, View(224), shape=(rows, rows, 2 * count))
    rates, blank = _record(probe, units)
    _assert_ground_truth(rates, blank, count, resized=True)

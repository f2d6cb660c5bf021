"""Properties of units whose tuning is known, and of units that have none."""

import numpy as np
import pytest
from scipy.interpolate import UnivariateSpline

from jaxbio.physiology import properties, protocol
from jaxbio.physiology.tuning import FrequencyTuning, OrientationTuning, drift_components


def test_drift_components_are_mean_and_first_harmonic():
    phase = np.deg2rad(protocol.PHASES)
    responses = np.stack([5 + 3 * np.cos(phase - 1), np.full(8, 2.0)])
    dc, ac = drift_components(responses)
    np.testing.assert_allclose(dc, [5, 2])
    np.testing.assert_allclose(ac, [3, 0], atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.2, 0.4])
def test_orientation_curves_are_interpolating_splines(smoothing):
    curve = np.random.default_rng(0).uniform(1, 2, 12)
    kernel = np.array([0, smoothing, 1, smoothing, 0])
    extended = np.convolve(np.tile(curve, 3), kernel / kernel.sum(), "same")
    axis = np.concatenate([protocol.ORIENTATIONS + turn for turn in (-180, 0, 180)])
    expected = UnivariateSpline(axis, extended, s=0)(np.arange(-180, 360))
    tuning = OrientationTuning(curve.reshape(1, -1), protocol.ORIENTATIONS, smoothing)
    np.testing.assert_allclose(tuning.curves[0], expected, rtol=1e-9)
    assert tuning.preferred[0] == expected[180:360].argmax()


def test_frequency_curves_are_interpolating_splines():
    curve = np.random.default_rng(0).uniform(1, 2, 22)
    octaves = np.log2(protocol.SPATIAL_FREQUENCIES)
    padded = np.concatenate([curve[:1], curve[:1], curve, curve[-1:], curve[-1:]])
    smooth = np.convolve(padded, np.array([0, 1, 5, 1, 0]) / 7, "valid")
    at = np.linspace(octaves[0], octaves[-1], 100)
    tuning = FrequencyTuning(curve.reshape(1, -1), protocol.SPATIAL_FREQUENCIES)
    np.testing.assert_allclose(tuning.curves[0], UnivariateSpline(octaves, smooth, s=0)(at))


def _orientation_rates(preferred, concentration, floor=0.0):
    """Units tuned for orientation at all widths and frequencies, drift not modulating them."""
    angle = np.deg2rad(2 * (protocol.ORIENTATIONS - np.array(preferred).reshape(-1, 1)))
    curve = floor + 40 * np.exp(concentration * (np.cos(angle) - 1))
    shape = (len(curve), 3, 4, 12, 8)
    return np.broadcast_to(curve.reshape(-1, 1, 1, 12, 1), shape)


def test_preferred_orientations_are_recovered():
    preferred = np.array([0, 20, 97, 157, 158, 179])
    study = properties.devalois1982a(_orientation_rates(preferred, 3.0), np.ones(6))
    found = study.values["preferred_orientation"]
    expected = np.where(preferred >= 157.5, preferred - 180, preferred)
    np.testing.assert_allclose(found, expected, atol=1)


def test_untuned_units_have_no_bandwidth_and_silent_ones_are_not_recorded():
    rates = np.concatenate(
        [_orientation_rates([45], 3.0), _orientation_rates([45], 0.05), np.zeros((1, 3, 4, 12, 8))]
    )
    study = properties.ringach2002(rates, np.array([1.0, 1, 0]))
    np.testing.assert_array_equal(study.recorded, [True, True, False])
    np.testing.assert_array_equal(study.values["orientation_selective"], [1, 0])
    np.testing.assert_array_equal(np.isnan(study.values["bandwidth"]), [False, True])
    # exp(3 (cos 2x - 1)) is at .707 for x = 14.0 degrees; the smoothing widens it.
    assert 14 < study.values["bandwidth"][0] < 21
    assert study.values["circular_variance"][0] < 0.3 < 0.9 < study.values["circular_variance"][1]
    np.testing.assert_allclose(study.values["modulation_ratio"], 0, atol=1e-12)


def test_peak_frequency_and_bandwidth_of_a_log_gaussian():
    octaves = np.log2(protocol.SPATIAL_FREQUENCIES)
    curve = 50 * np.exp(-((octaves - 1.5) ** 2) / (2 * 0.8**2))
    rates = np.broadcast_to(curve.reshape(1, 1, -1, 1, 1), (1, 2, 22, 6, 8))
    peak = properties.devalois1982b(rates, np.zeros(1)).values["peak_spatial_frequency"][0]
    np.testing.assert_allclose(np.log2(peak), 1.5, atol=0.06)
    flat = np.full_like(rates, 50.0)
    both = properties.schiller1976(np.concatenate([rates, flat]), np.zeros(2))
    np.testing.assert_array_equal(both.values["spatial_frequency_selective"], [1, 0])
    half = 0.8 * np.sqrt(2 * np.log(1 / 0.707))
    width = both.values["spatial_frequency_bandwidth"]
    np.testing.assert_allclose(width[0], 100 * 2 ** (-2 * half), atol=6)
    assert np.isnan(width[1])


def test_surrounds():
    """One unit that saturates, one that is suppressed by half beyond 1.2 degrees."""
    saturating = 40 * protocol.RADII**2 / (protocol.RADII**2 + 0.01)
    suppressed = np.where(protocol.RADII < 1, saturating, 20.0)
    rates = np.stack([saturating, suppressed]).reshape(2, -1, 1, 1, 1)
    rates = np.broadcast_to(rates, (2, 12, 4, 6, 8))
    study = properties.cavanaugh2002(rates, np.zeros(2)).values
    np.testing.assert_allclose(study["surround_suppression_index"][0], 0)
    np.testing.assert_allclose(study["surround_suppression_index"][1], 0.5, atol=0.02)
    np.testing.assert_array_equal(study["strongly_suppressed"], [0, 1])
    assert np.isnan(study["grating_summation_field"][0])
    np.testing.assert_allclose(study["surround_diameter"][1], 2 * protocol.RADII[7])


def test_textures_without_a_difference_have_no_modulation():
    rng = np.random.default_rng(0)
    noise = rng.uniform(5, 30, (3, 1, 15, 15))
    same = properties.freemanziemba2013(np.repeat(noise, 2, 1), np.ones(3)).values
    np.testing.assert_allclose(same["texture_modulation_index"], 0, atol=1e-12)
    stronger = properties.freemanziemba2013(
        np.concatenate([noise, 2 * noise - 1], 1), np.ones(3)
    ).values
    np.testing.assert_allclose(stronger["texture_modulation_index"], 1 / 3)
    family = np.broadcast_to(np.arange(1, 16).reshape(1, 1, 15, 1) * 3.0, (1, 2, 15, 15))
    ratio = properties.freemanziemba2013(family, np.zeros(1)).values["variance_ratio"]
    np.testing.assert_allclose(ratio, 1.02 / 0.02)


def test_no_units_are_no_values():
    study = properties.cavanaugh2002(np.zeros((0, 12, 4, 6, 8)), np.zeros(0))
    assert all(len(value) == 0 for value in study.values.values())

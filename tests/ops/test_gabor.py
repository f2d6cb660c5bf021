"""Sampling of Gabor parameters and filters."""

import numpy as np
import pytest

from jaxbio.ops import gabor


def test_global_stream_is_neither_read_nor_moved() -> None:
    np.random.seed(5)
    before = np.random.get_state()
    first = gabor.sample_gabor_parameters(20, seed=1)
    after = np.random.get_state()
    np.testing.assert_array_equal(before[1], after[1])
    np.random.seed(6)
    for a, b in zip(first, gabor.sample_gabor_parameters(20, seed=1), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", gabor.PARAM_MODES)
@pytest.mark.parametrize(("sf_min", "sf_max"), [(0, 9), (0, 6), (0.7, 4.5), (2, 3)])
def test_ranges(mode: str, sf_min: float, sf_max: float) -> None:
    p = gabor.sample_gabor_parameters(3000, seed=7, mode=mode, sf_min=sf_min, sf_max=sf_max)
    assert p.sf.min() >= max(sf_min, 0.5)
    assert p.sf.max() <= min(sf_max, 8)
    assert p.theta.min() >= 0
    assert p.theta.max() < 180
    assert p.phase.min() >= 0
    assert p.phase.max() < 360
    for n in (p.nx, p.ny):
        assert n.min() >= 0.1
        assert n.max() <= 10**0.2


def test_cut_at_a_bin_edge() -> None:
    """The bin below an edge at sf_max counts in the neuronal mode, not in the uniform one."""
    top = {
        m: gabor.sample_gabor_parameters(2000, mode=m, sf_max=4).sf.max() for m in gabor.PARAM_MODES
    }
    assert 2.8 < top["neuronal"] <= 4
    assert top["uniform"] <= 2.8


@pytest.mark.parametrize("corr", [-1.0, -0.4, 0.0, 0.6, 1.0])
def test_correlation_of_size_and_frequency(corr: float) -> None:
    stream = np.random.RandomState(0)
    normals = gabor._correlated_normals(stream, 40_000, corr)
    # Standard errors: 0.005 of a mean, 0.007 of a covariance entry; six of them.
    np.testing.assert_allclose(normals.mean(0), 0, atol=0.03)
    np.testing.assert_allclose(np.cov(normals.T), [[1, corr], [corr, 1]], atol=0.045)


def test_histograms_are_followed() -> None:
    n = 100_000
    p = gabor.sample_gabor_parameters(n, seed=3, sf_max=8)
    shares = np.histogram(p.sf, gabor._SF_EDGES)[0] / n
    expected = gabor._SF_COUNTS / gabor._SF_COUNTS.sum()
    np.testing.assert_allclose(shares, expected, atol=6 * 0.5 / np.sqrt(n))
    joint = np.histogram2d(np.log10(p.nx), np.log10(p.ny), [gabor._SIZE_EDGES] * 2)[0] / n
    expected = gabor._SIZE_COUNTS / gabor._SIZE_COUNTS.sum()
    np.testing.assert_allclose(joint, expected, atol=6 * 0.5 / np.sqrt(n))
    shifted = np.where(p.theta >= 157.5, p.theta - 180, p.theta)
    shares = np.histogram(shifted, gabor._ORIENTATION_EDGES)[0] / n
    expected = gabor._ORIENTATION_COUNTS / gabor._ORIENTATION_COUNTS.sum()
    np.testing.assert_allclose(shares, expected, atol=6 * 0.5 / np.sqrt(n))


def one_filter(**changes: float) -> gabor.GaborParameters:
    values = {"sf": 2.0, "theta": 0.0, "phase": 0.0, "nx": 0.5, "ny": 0.5} | changes
    return gabor.GaborParameters(**{k: np.array([v], float) for k, v in values.items()})


def test_kernel_by_hand() -> None:
    kernel = gabor.gabor_kernels(one_filter(), pixels_per_degree=16, kernel_size=9)[0]
    sigma = 0.5 / (2 / 16)
    assert kernel.shape == (9, 9)
    assert kernel.dtype == np.float32
    np.testing.assert_allclose(kernel[4, 4], 1 / (2 * np.pi * sigma**2), rtol=1e-6)
    # At theta 0 the grating runs along the rows: 4 rows further it is at half a period.
    half = -np.exp(-((4 / sigma) ** 2) / 2) / (2 * np.pi * sigma**2)
    np.testing.assert_allclose(kernel[8, 4], half, rtol=1e-5)
    assert kernel[4, 8] > 0
    turned = gabor.gabor_kernels(one_filter(theta=90), pixels_per_degree=16, kernel_size=9)[0]
    np.testing.assert_allclose(turned, kernel.T, atol=1e-8)


def test_quadrature_is_a_quarter_period() -> None:
    kwargs = {"pixels_per_degree": 16, "kernel_size": 9}
    odd = gabor.gabor_kernels(one_filter(phase=20), quadrature=1, **kwargs)
    np.testing.assert_allclose(odd, gabor.gabor_kernels(one_filter(phase=110), **kwargs), atol=1e-8)


def test_colours() -> None:
    q0, q1 = gabor.draw_colours(3000, seed=2)
    for channel in (q0, q1):
        np.testing.assert_allclose(np.bincount(channel) / 3000, 1 / 3, atol=0.05)  # six sigma
    assert abs((q0 == q1).mean() - 1 / 3) < 0.05
    same0, same1 = gabor.draw_colours(3000, seed=2, same_color=True)
    np.testing.assert_array_equal(same0, q0)
    np.testing.assert_array_equal(same1, q0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sf_min": 9.0}, "no frequency bin between sf_min=9.0"),
        ({"sf_max": 0.6}, "no frequency bin"),
        ({"sf_min": 4.0, "sf_max": 2.0}, "no frequency bin"),
        ({"mode": "natural"}, "unknown param_mode 'natural'; valid: neuronal, uniform"),
        ({"sf_corr": 1.5}, "sf_corr=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"features": 0}, "features=0"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gabor.sample_gabor_parameters(**{"features": 4, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pixels_per_degree": 0.0}, "pixels_per_degree=0.0"),
        ({"kernel_size": 8}, "kernel_size=8, must be odd"),
        ({"kernel_size": -1}, "kernel_size=-1"),
    ],
)
def test_wrong_sizes(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gabor.gabor_kernels(one_filter(), **{"pixels_per_degree": 16, "kernel_size": 9, **options})

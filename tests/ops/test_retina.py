"""Retina and LGN: what each stage ignores, and what it answers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve

from jaxbio.ops.retina import (
    FANO_FACTOR,
    M_CELLS,
    P_CELLS,
    adapt_to_light,
    centre_surround,
    neuronal_noise,
    normalise_contrast,
)

_SCALE = 16.0  # pixels per degree


@pytest.fixture
def picture():
    return jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (2, 40, 36, 3)), jnp.float32)


@pytest.mark.parametrize("cells", [P_CELLS, M_CELLS])
def test_adaptation_forgets_the_level_of_light(picture, cells):
    adapted = adapt_to_light(picture, cells.adaptation)
    np.testing.assert_allclose(adapt_to_light(picture / 4, cells.adaptation), adapted, atol=1e-4)
    even = adapt_to_light(jnp.full((1, 4, 4, 3), 0.3), cells.adaptation)
    np.testing.assert_allclose(even, 0, atol=1e-4)
    assert float(jnp.abs(adapted).max()) < 0.5
    gradient = jax.grad(lambda x: adapt_to_light(x, cells.adaptation).sum())(
        jnp.zeros((1, 4, 4, 3))
    )
    assert np.isfinite(gradient).all()


def test_centre_and_surround_are_the_two_gaussians(picture):
    """The published kernels: unnormalised Gaussians, of one size, divided by the total."""
    found = centre_surround(picture, P_CELLS, _SCALE)
    assert found.shape == (2, 40, 36, 3)
    half = int(np.ceil(np.sqrt(-2 * np.log(0.2)) * P_CELLS.surround * _SCALE / np.sqrt(2)))
    axis = np.arange(-half, half + 1)
    squared = axis.reshape(-1, 1) ** 2 + axis.reshape(1, -1) ** 2
    centre = np.exp(-squared / (P_CELLS.centre * _SCALE) ** 2)
    surround = P_CELLS.ratio * np.exp(-squared / (P_CELLS.surround * _SCALE) ** 2)
    total = abs(centre.sum() - surround.sum())
    red, green = np.asarray(picture[0, ..., 0]), np.asarray(picture[0, ..., 1])
    expected = convolve(red, centre, mode="mirror") - convolve(green, surround, mode="mirror")
    np.testing.assert_allclose(found[0, ..., 0], expected / total, rtol=1e-4, atol=1e-5)


def test_even_light_is_answered_by_one():
    for cells in (P_CELLS, M_CELLS):
        answer = centre_surround(jnp.ones((1, 48, 48, 3)), cells, _SCALE)
        np.testing.assert_allclose(jnp.abs(answer), 1, rtol=1e-4)


def test_contrast_is_compressed(picture):
    signal = picture - 0.5
    gains = []
    for contrast in (0.01, 0.1, 1.0):
        answer = normalise_contrast(contrast * signal, P_CELLS, _SCALE)
        gains.append(float(jnp.abs(answer).mean()) / contrast)
    assert gains[0] > 1.2 * gains[1]
    assert gains[1] > 2 * gains[2]
    gradient = jax.grad(lambda x: normalise_contrast(x, P_CELLS, _SCALE).sum())(0 * signal)
    assert np.isfinite(gradient).all()


def test_noise_is_as_strong_as_the_signal():
    signal = jnp.full(20_000, -3.0)
    noise = neuronal_noise(signal, jax.random.normal(jax.random.key(0), signal.shape)) - signal
    np.testing.assert_allclose(noise.var(), 3 * FANO_FACTOR, rtol=0.05)


def test_the_constants_scale_with_the_picture(picture):
    """Twice the pixels per degree: twice the radii."""
    fine = jnp.repeat(jnp.repeat(picture[:1], 2, 1), 2, 2)
    coarse = centre_surround(picture[:1], M_CELLS, _SCALE)
    twice = centre_surround(fine, M_CELLS, 2 * _SCALE)
    means = twice.reshape(1, 40, 2, 36, 2, 1).mean((2, 4))
    assert np.corrcoef(np.ravel(means), np.ravel(coarse))[0, 1] > 0.98

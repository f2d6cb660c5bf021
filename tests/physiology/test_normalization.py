"""Contrast, other orientations and surrounds, with and without divisive normalisation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.models.front_end import V1
from jaxbio.ops.v1 import Normalization
from jaxbio.physiology.stimuli import gratings, place, plaids

_SCREEN = {"size": 112, "degrees": 4.0}
_CELLS = 48


@pytest.fixture(scope="module")
def layers():
    """Complex cells at the picture's centre, with and without normalisation."""
    made = {}
    for normalization in ("none", "divisive"):
        v1 = V1(
            simple_channels=0,
            complex_channels=_CELLS,
            image_size=112,
            stride=8,
            same_color=True,
            normalization=normalization,
        )
        variables = jax.jit(v1.init)(jax.random.key(0), jnp.zeros((1, 112, 112, 3)))

        @jax.jit
        def cells(pictures, v1=v1, variables=variables):
            images = place(pictures, degrees=4.0, view_degrees=4.0, size=112)
            _, endpoints = v1.apply(variables, (images / 255.0 - 0.5) / 0.5)
            return endpoints["v1"][:, 7, 7]

        made[normalization] = cells
    return made


def _rows(**levels):
    """Gratings at the centre, one of their factors varied."""
    usual = {"contrast": 0.5, "radius": 10.0, "frequency": 2.0, "orientation": 0.0, "phase": 0.0}
    columns = np.broadcast_arrays(*{**usual, **levels}.values())
    return np.stack([np.zeros(columns[0].shape)] * 2 + list(columns), -1).reshape(-1, 7)


def _best_cell(layers):
    answers = layers["none"](gratings(_rows(orientation=np.array([0.0, 90])), **_SCREEN))
    return int(np.argmax(answers[0] - answers[1]))


@pytest.mark.slow
def test_contrast_saturates(layers):
    contrast = np.array([0.0625, 0.125, 0.25, 0.5, 1.0])
    pictures = gratings(_rows(contrast=contrast), **_SCREEN)
    cell = _best_cell(layers)
    linear = np.asarray(layers["none"](pictures)[:, cell])
    np.testing.assert_allclose(linear / linear[-1], contrast, atol=0.02)
    divided = np.asarray(layers["divisive"](pictures)[:, cell])
    assert (np.diff(divided) > 0).all()
    assert divided[1] / divided[0] > 2.5  # expansive at low contrast, exponent 2
    assert divided[4] / divided[3] < 1.6  # saturating at high
    half = np.interp(0.5 * divided[-1], divided, contrast)
    assert 0.1 < half < 0.6


@pytest.mark.slow
def test_an_orthogonal_mask_suppresses(layers):
    cell = _best_cell(layers)
    grating, mask = _rows(contrast=0.25), _rows(contrast=0.5, orientation=90.0)
    alone, masked = gratings(grating, **_SCREEN), plaids(grating, mask, **_SCREEN)
    ratio = {
        name: float(layer(masked)[0, cell] / layer(alone)[0, cell])
        for name, layer in layers.items()
    }
    assert ratio["none"] > 0.95
    assert ratio["divisive"] < 0.8


def test_the_surround_suppresses(layers):
    cell = _best_cell(layers)
    radius = np.array([0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
    pictures = gratings(_rows(contrast=1.0, radius=radius), **_SCREEN)
    index = {}
    for name, layer in layers.items():
        curve = np.asarray(layer(pictures)[:, cell])
        index[name] = 1 - curve[-1] / curve.max()
    assert index["none"] < 0.1
    assert index["divisive"] > 0.2


def test_grey_is_silent_and_differentiable():
    maps = jnp.zeros((1, 3, 3, 2))
    normalise = jax.jit(Normalization(2.0, 0.6, 1.0))
    np.testing.assert_array_equal(normalise(maps), maps)
    assert np.isfinite(jax.grad(lambda x: normalise(x).sum())(maps)).all()
    even = normalise(jnp.full((4, 5, 2), 0.6))  # the pool at its constant, without a batch
    np.testing.assert_allclose(even, 0.3, rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"normalization": "subtractive"}, "subtractive"),
        (
            {"normalization": "divisive", "normalization_exponent": 0.5},
            "normalization_exponent=0.5",
        ),
        ({"normalization": "divisive", "normalization_constant": 0.0}, "normalization_constant=0"),
    ],
)
def test_wrong_options(fields, match):
    v1 = V1(**fields)
    with pytest.raises(InputError, match=match):
        jax.eval_shape(v1.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))

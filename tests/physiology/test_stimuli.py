"""Stimuli: what is grey, what is not, and where."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.physiology.protocol import SETS, receptive_field_set
from jaxbio.physiology.stimuli import (
    GREY,
    annuli,
    full_fields,
    gratings,
    place,
    plaids,
    sparse_noise,
)

_SCREEN = {"size": 48, "degrees": 6}
# y, x, contrast, radius, spatial frequency, orientation, phase
_GRATING = np.array([[0.5, -0.25, 0.8, 1.5, 1.1, 30.0, 45.0]])


def _distance(y, x, size, degrees):
    axis = (np.arange(size) - size / 2) * degrees / size
    return np.hypot(axis.reshape(-1, 1) - y, axis.reshape(1, -1) - x)


def test_a_grating_is_grey_outside_its_disc_and_modulated_inside():
    picture = np.asarray(gratings(_GRATING, **_SCREEN))[0]
    inside = _distance(0.5, -0.25, **_SCREEN) <= 1.5
    assert (picture[~inside] == GREY).all()
    assert picture[inside].min() < 30
    assert picture[inside].max() > 225
    assert picture[inside].min() >= 255 * 0.1 - 1  # contrast .8


def test_orientation_and_frequency_are_what_they_are_called():
    """Orientation 0 varies along x: two cycles over the 2 degrees of the disc."""
    grating = np.array([[0, 0, 1, 10, 1.0, 0, 0.0]])
    picture = np.asarray(gratings(grating, size=64, degrees=8), np.float64)[0]
    assert (picture == picture[:1]).all()
    assert np.abs(np.fft.rfft(picture[0] - picture[0].mean())).argmax() == 8


def test_annuli_are_gratings_with_a_hole():
    ring = np.asarray(annuli(_GRATING, np.array([0.7]), **_SCREEN))[0]
    disc = np.asarray(gratings(_GRATING, **_SCREEN))[0]
    hole = _distance(0.5, -0.25, **_SCREEN) <= 0.7
    assert (ring[hole] == GREY).all()
    np.testing.assert_array_equal(ring[~hole], disc[~hole])


def test_plaids_add_modulations():
    half = _GRATING * np.array([[1, 1, 0.5, 1, 1, 1, 1]])
    silent = _GRATING * np.array([[1, 1, 0, 1, 1, 1, 1]])
    disc = gratings(_GRATING, **_SCREEN)
    # Twice half the contrast is all of it, to the rounding at whole levels.
    twice = np.asarray(plaids(half, half, **_SCREEN), int)
    assert np.abs(twice - np.asarray(disc, int)).max() <= 1
    np.testing.assert_array_equal(plaids(half, silent, **_SCREEN), gratings(half, **_SCREEN))


@pytest.mark.parametrize(
    ("draw", "arguments"),
    [(gratings, (_GRATING,)), (annuli, (_GRATING, np.ones(1))), (plaids, (_GRATING, _GRATING))],
)
def test_the_same_pictures_come_out_of_jit_and_vmap(draw, arguments):
    expected = draw(*arguments, **_SCREEN)
    compiled = jax.jit(lambda *given: draw(*given, **_SCREEN))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(compiled(*arguments), expected)
        several = jax.vmap(lambda *given: draw(*given, **_SCREEN))
        stacked = several(*(np.stack([argument] * 2) for argument in arguments))
    np.testing.assert_array_equal(stacked, np.stack([expected] * 2))


def test_full_fields_are_even():
    pictures = np.asarray(full_fields(jnp.array([0, 128, 255]), size=5))
    assert pictures.shape == (3, 5, 5)
    np.testing.assert_array_equal(pictures[:, 2, 3], [0, 128, 255])
    assert (pictures == pictures[:, :1, :1]).all()


def test_sparse_noise_shows_the_spots_asked_for():
    noise = {"spots": 3, "spot_degrees": 0.5, "size": 34, "degrees": 4}
    frames = np.asarray(sparse_noise(jax.random.key(1), 20, **noise))
    assert frames.shape == (20, 34, 34)
    assert set(np.unique(frames)) == {0, GREY, 255}
    # 0.5 degrees are 4 pixels, 8 cells of which leave an edge of one pixel.
    np.testing.assert_array_equal((frames != GREY).sum((1, 2)), 3 * 16)
    assert (frames[:, 0] == GREY).all()
    assert (frames[:, :, -1] == GREY).all()
    assert len(np.unique(frames.reshape(20, -1), axis=0)) == 20


def test_placing_crops_pads_and_resizes():
    picture = np.zeros((1, 12, 12), np.uint8)
    picture[0, 4:8, 4:8] = 200
    cropped = np.asarray(place(picture, degrees=12, view_degrees=4, size=4))
    assert cropped.shape == (1, 4, 4, 3)
    assert (cropped == 200).all()
    padded = np.asarray(place(picture, degrees=12, view_degrees=16, size=16))
    assert (padded[:, :2] == GREY).all()
    assert (padded[:, 2:14, 2:14, 1] == picture).all()
    smaller = np.asarray(place(picture, degrees=12, view_degrees=12, size=6), float)[0, ..., 0]
    np.testing.assert_allclose(smaller.mean(), picture.mean(), atol=0.5)
    assert smaller[3, 3] > 150
    assert smaller[0, 0] == 0
    colour = np.stack([picture] * 3, -1)
    np.testing.assert_array_equal(place(colour, degrees=12, view_degrees=16, size=16), padded)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: gratings(_GRATING, size=0, degrees=1), "size=0"),
        (lambda: gratings(_GRATING, size=4, degrees=0.0), "degrees=0"),
        (lambda: place(np.zeros((1, 3, 4), np.uint8), degrees=1, view_degrees=1, size=2), "3, 4"),
        (
            lambda: sparse_noise(jax.random.key(0), 1, spots=5, spot_degrees=2, size=8, degrees=4),
            "spots=5",
        ),
        (
            lambda: sparse_noise(
                jax.random.key(0), 1, spots=1, spot_degrees=0.1, size=8, degrees=4
            ),
            "spot_degrees=0.1",
        ),
    ],
)
def test_wrong_arguments(call, match):
    with pytest.raises(InputError, match=match):
        call()


def test_sets_have_the_published_sizes():
    sizes = {name: len(design().parameters) for name, design in SETS.items()}
    assert sizes == {"orientation": 1152, "spatial_frequency": 2112, "size": 2304}
    design = receptive_field_set()
    assert len(design.parameters) == np.prod(design.shape) == 3528

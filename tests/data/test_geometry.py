import numpy as np
import pytest
from PIL import Image

from jaxbio.data import geometry
from jaxbio.data.tensorflow_cpu import tf
from jaxbio.data.windows import DRAWS, WINDOW_DRAWS

from .conftest import picture


def uniform(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).random(shape), tf.float32)


def squares(count, side, seed=0):
    return tf.constant(np.stack([picture(seed + i, side, side) for i in range(count)]), tf.float32)


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(90, 121, 32), (33, 60, 45), (20, 20, 64), (64, 64, 64), (8, 8, 7)],
)
def test_resize_is_pils(height, width, size):
    pixels = picture(0, height, width)
    ours = geometry.to_uint8(geometry.resize(tf.constant(pixels)[None], size))[0].numpy()
    theirs = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    assert ours.dtype == np.uint8
    # PIL rounds after each of the two axes.
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "side", "size"),
    [(90, 121, 36, 32), (121, 90, 41, 32), (20, 31, 40, 33), (50, 50, 32, 32), (350, 40, 37, 32)],
)
def test_centre_crop_is_torchvisions(height, width, side, size):
    pixels = picture(0, height, width)
    ours = geometry.resize_and_centre_crop(tf.constant(pixels)[None], side, size)
    ours = geometry.to_uint8(ours)[0].numpy()
    short = min(height, width)
    new = int(side * height / short), int(side * width / short)
    theirs = Image.fromarray(pixels).resize(new[::-1], Image.Resampling.BILINEAR)
    top, left = (round((n - size) / 2.0) for n in new)
    theirs = np.asarray(theirs)[top : top + size, left : left + size]
    assert ours.shape == (size, size, 3)
    assert np.abs(ours.astype(int) - theirs).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(300, 400), (8, 8), (1, 1), (400, 50), (3, 900)])
def test_windows_lie_within_the_image(height, width):
    draws = uniform(2000, WINDOW_DRAWS)
    top, left, h, w = (x.numpy() for x in geometry.random_window(draws, height, width, (0.08, 1.0)))
    assert min(h.min(), w.min()) >= 1
    assert min(top.min(), left.min()) >= 0
    assert (top + h).max() <= height
    assert (left + w).max() <= width


def test_windows_have_the_published_distribution():
    draws = uniform(20_000, WINDOW_DRAWS)
    top, left, h, w = (x.numpy() for x in geometry.random_window(draws, 1000, 1000, (0.08, 0.5)))
    area, ratio = h * w / 1e6, np.log(w / h)
    # Uniform on 0.08..0.5 and on log 3/4..log 4/3: such windows always fit.
    assert area.min() >= 0.079
    assert area.max() <= 0.501
    assert area.mean() == pytest.approx(0.29, abs=0.005)
    assert np.abs(ratio).max() <= np.log(4 / 3) + 0.01
    assert ratio.mean() == pytest.approx(0, abs=0.005)
    assert ratio.std() == pytest.approx(np.log(4 / 3) / np.sqrt(3), rel=0.02)
    for place, room in ((top, 1000 - h), (left, 1000 - w)):
        assert (place / room).mean() == pytest.approx(0.5, abs=0.01)
        assert place.min() == 0


def test_a_window_that_cannot_fit_is_central():
    window = geometry.random_window(uniform(4, WINDOW_DRAWS), 30, 300, (0.9, 1.0))
    for values, expected in zip(window, (0, 130, 30, 40), strict=True):
        np.testing.assert_array_equal(values, [expected] * 4)


def test_no_shift_is_the_image():
    images = squares(2, 15)
    same = geometry.shift_zoom(images, uniform(2, DRAWS["shift"]), 0.0, 0.0)
    np.testing.assert_allclose(same, images, atol=1e-3)


def test_shift_moves_and_fills_with_black():
    images = squares(1, 20) + 1
    # Zoom 1; down by 0.1 * 20 * 0.5 * 2 = 2, left by as much.
    moved = geometry.shift_zoom(images, tf.constant([[0.5, 1.0, 0.0]]), 0.1, 0.3).numpy()
    np.testing.assert_allclose(moved[0, 2:, :-2], images[0, :-2, 2:], atol=1e-3)
    assert not moved[0, :2].any()
    assert not moved[0, :, -2:].any()


def test_zoom_keeps_the_centre():
    blob = np.zeros((1, 21, 21, 1), np.float32)
    blob[0, 8:13, 8:13] = 200
    masses = []
    for draw in (0.0, 0.5, 1.0):
        zoomed = geometry.shift_zoom(tf.constant(blob), tf.constant([[draw, 0.5, 0.5]]), 0.1, 0.4)
        mass = zoomed.numpy()[0, ..., 0]
        masses.append(mass.sum() / 200)
        assert (mass.sum(0) * np.arange(21)).sum() / mass.sum() == pytest.approx(10, abs=1e-3)
    np.testing.assert_allclose(masses, [25 * 0.6**2, 25, 25 * 1.4**2], rtol=0.05)

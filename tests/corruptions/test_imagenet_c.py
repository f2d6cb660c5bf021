"""Protocol imagenet_c: what its files have that imagecorruptions has not."""

import io

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.datasets import load_sample_image

from jaxbio.corruptions import corrupt, digital, frost_textures

PUBLISHED = ((488, 170.8, 24.4), (488, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88),
             (29.28, 2.44, 4.88))  # fmt: skip


@pytest.fixture(scope="module")
def photograph():
    return load_sample_image("flower.jpg")[100:324, 200:424]


def published_elastic(image, severity, corners, dx, dy):
    """As ImageNet-C's files were made (OpenCV, SciPy), with given draws."""
    gain, sigma, _ = PUBLISHED[severity - 1]
    shape = image.shape[:2]
    centre, side = np.float32(shape) // 2, min(shape) // 3
    before = np.float32([centre + side, [centre[0] + side, centre[1] - side], centre - side])
    matrix = cv2.getAffineTransform(before, before + np.float32(corners))
    image = cv2.warpAffine(
        np.float32(image) / 255, matrix, shape[::-1], borderMode=cv2.BORDER_REFLECT_101
    )
    dx, dy = (gain * gaussian_filter(d, sigma, truncate=3, mode="reflect") for d in (dx, dy))
    x, y = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    moved = [
        map_coordinates(image[..., c], (y + dy, x + dx), order=1, mode="reflect") for c in range(3)
    ]
    return 255 * np.clip(np.stack(moved, -1), 0, 1)


@pytest.mark.slow
@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_elastic_transform_has_its_affine_part(photograph, severity):
    rng = np.random.default_rng(severity)
    reach = PUBLISHED[severity - 1][2]
    corners = rng.uniform(-reach, reach, (3, 2))
    dx, dy = rng.uniform(-1, 1, (2, 224, 224))
    expected = published_elastic(photograph, severity, corners, dx, dy)
    draws = (jnp.asarray(corners[None]), (jnp.asarray(dx[None]), jnp.asarray(dy[None])))
    ours = digital.elastic_transform_c(jnp.asarray(photograph[None], jnp.float32), severity, draws)
    # OpenCV interpolates at 32nds of a pixel.
    off = np.abs(np.asarray(ours[0]) - expected)
    assert off.mean() < 0.5
    assert np.percentile(off, 99.9) < 5


def test_the_draws_of_elastic_transform_fill_their_range():
    words = jnp.arange(64 * 8, dtype=jnp.uint32).reshape(64, 4, 2)
    corners, (dx, _) = digital.draw_elastic_transform_c(words, jnp.zeros((64, 32, 32, 3)), 2)
    assert 46 < np.abs(corners).max() <= 48.8
    assert 0.99 < np.abs(dx).max() <= 1
    assert abs(float(dx.mean())) < 0.02


@pytest.mark.parametrize("name", ["contrast", "jpeg_compression"])
@pytest.mark.slow
def test_results_are_jpegs(photograph, name):
    key = jax.random.key(0)
    file = io.BytesIO()
    photograph = photograph[:64, :64]
    plain = corrupt(photograph, name, 2, key)
    Image.fromarray(np.asarray(plain)).save(file, "JPEG", quality=85, optimize=True)
    ours = corrupt(photograph, name, 2, key, protocol="imagenet_c")
    np.testing.assert_array_equal(ours, np.asarray(Image.open(file)))


def test_frost_crops_the_photographs_as_they_are():
    canvas, tops, heights, widths = frost_textures.textures(224, 224, 1.0)
    assert list(zip(heights, widths, strict=True)) == [
        (600, 900), (315, 560), (315, 560), (350, 527), (495, 660)
    ]  # fmt: skip
    enlarged, _, larger, _ = frost_textures.textures(224, 224)
    assert larger[0] == 660
    assert enlarged.shape[0] > canvas.shape[0]
    assert tops[1] == 600


def test_an_unknown_protocol_is_named(photograph):
    with pytest.raises(ValueError, match="unknown protocol 'cifar_c'; one of imagecorruptions, i"):
        corrupt(photograph, "fog", 1, jax.random.key(0), protocol="cifar_c")


def test_frost_without_the_photographs_is_named_synthetic(monkeypatch, caplog):
    assert frost_textures.source() == "photographs"
    frost_textures._photographs.cache_clear()
    monkeypatch.setattr(frost_textures.importlib.util, "find_spec", lambda name: None)
    assert frost_textures.source() == "synthetic textures"
    assert "pip install imagecorruptions" in caplog.text
    frost_textures._photographs.cache_clear()

"""What holds for every corruption: purity, keys, dtypes, transformations, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.corruptions import corrupt, corruption_names
from jaxbio.corruptions.compiled import CORRUPTIONS

NAMES = corruption_names("all")
RANDOM = [name for name in NAMES if CORRUPTIONS[name].draw is not None]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three smooth colour pictures with edges, not square."""
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.uniform(0, 255, (3, 5, 6, 3)), np.ones((1, 8, 8, 1)))
    return np.clip(coarse + rng.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def key():
    return jax.random.key(3)


def test_subsets_of_names():
    assert len(corruption_names("benchmark")) == len(corruption_names()) == 15
    assert len(corruption_names("validation")) == 4
    assert set(NAMES) == set(CORRUPTIONS)
    assert len(NAMES) == 19
    with pytest.raises(ValueError, match=r"subset 'extra'.*benchmark, validation, all"):
        corruption_names("extra")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_result_is_a_pure_function_of_image_and_key(name, images, key):
    ids = np.array([5, 0, 9])
    out = np.asarray(corrupt(images, name, 2, key, indices=ids))
    assert out.shape == images.shape
    assert out.dtype == np.uint8
    assert (out != images).mean() > 0.02
    # The same pictures elsewhere in another batch; one picture replaced.
    order = [2, 0, 1]
    shuffled = images[order].copy()
    shuffled[0] = 255 - shuffled[0]
    again = np.asarray(corrupt(shuffled, name, 2, key, indices=ids[order]))
    np.testing.assert_array_equal(again[1:], out[order[1:]])
    other = np.asarray(corrupt(images, name, 2, jax.random.key(4), indices=ids))
    assert (other != out).any() == (name in RANDOM)


@pytest.mark.parametrize("name", ["gaussian_noise", "motion_blur"])
def test_batch_single_image_key_batch_and_vmap_agree(name, images, key):
    batch = np.asarray(corrupt(images, name, 3, key))
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(3))
    np.testing.assert_array_equal(corrupt(images, name, 3, keys), batch)
    np.testing.assert_array_equal(corrupt(images[1], name, 3, keys[1]), batch[1])
    np.testing.assert_array_equal(corrupt(images[1], name, 3, key, indices=1), batch[1])
    raw = jax.random.key_data(key)
    np.testing.assert_array_equal(corrupt(images, name, 3, raw), batch)
    mapped = jax.vmap(lambda image, k: corrupt(image, name, 3, k))(jnp.asarray(images), keys)
    np.testing.assert_array_equal(mapped, batch)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("severity", [1, 5])
def test_jit_and_vmap_of_every_corruption(name, severity, images, key):
    out = np.asarray(corrupt(images, name, severity, key), int)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(3))
    call = jax.jit(lambda x, k: jax.vmap(lambda a, b: corrupt(a, name, severity, b))(x, k))
    # Sums may be grouped otherwise: a truncated value may differ by one, rarely.
    off = np.abs(np.asarray(call(jnp.asarray(images), keys), int) - out)
    assert off.max() <= 1
    assert (off > 0).mean() < 1e-3


@pytest.mark.parametrize("name", ["shot_noise", "contrast", "pixelate"])
def test_under_jit_and_on_floating_images(name, images, key):
    out = np.asarray(corrupt(images, name, 4, key))
    jitted = jax.jit(lambda x, k: corrupt(x, name, 4, k))
    np.testing.assert_array_equal(jitted(images, key), out)
    floating = jitted(jnp.asarray(images / 255.0, jnp.float32), key)
    assert floating.dtype == jnp.float32
    assert float(floating.min()) >= 0
    assert float(floating.max()) <= 1
    # Floating results keep what uint8 results lose by truncation.
    kept = np.asarray(floating, np.float64) * 255 - out
    assert kept.min() > -0.01
    assert kept.max() < 1.01


def test_half_precision_comes_back_as_such(images, key):
    assert corrupt(images / np.float16(255), "contrast", 4, key).dtype == jnp.float16


def test_streams_differ_between_names_severities_and_images(images, key):
    same = np.repeat(np.full_like(images[:1], 128), 3, 0)
    noise = {
        (name, severity): np.asarray(corrupt(same, name, severity, key), float) - 128
        for name, severity in (("gaussian_noise", 1), ("gaussian_noise", 2), ("speckle_noise", 1))
    }
    fields = [n.reshape(3, -1) for n in noise.values()]
    correlation = np.corrcoef(np.concatenate(fields))
    assert np.abs(correlation - np.eye(9)).max() < 0.05


@pytest.mark.parametrize("shape", [(40, 48), (40, 48, 1), (2, 40, 48, 1)])
def test_grey_images_come_back_grey(shape, images, key):
    grey = np.resize(images[..., 1], shape)
    for name in ("gaussian_noise", "frost"):
        out = corrupt(grey, name, 2, key)
        assert out.shape == shape
        assert out.dtype == jnp.uint8
    # A mean over three independent fields would be weaker noise.
    flat = np.full((64, 64), 128, np.uint8)
    assert np.asarray(corrupt(flat, "gaussian_noise", 1, key)).std() == pytest.approx(
        0.08 * 255, rel=0.05
    )


@pytest.mark.parametrize("size", [(32, 32), (101, 37)])
def test_sizes_that_no_block_or_power_of_two_divides(size, key):
    image = np.full((*size, 3), 77, np.uint8)
    for name in ("defocus_blur", "zoom_blur", "gaussian_blur", "pixelate"):
        assert np.abs(np.asarray(corrupt(image, name, 5, key), int) - 77).max() <= 1, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "rain"}, "unknown corruption 'rain'; one of gaussian_noise"),
        ({"severity": 0}, "severity 0; an integer from 1 to 5"),
        ({"severity": 6}, "severity 6"),
        ({"severity": 1.5}, r"severity 1\.5"),
        ({"severity": "3"}, "severity '3'"),
        ({"images": np.zeros((2, 31, 64, 3), np.uint8)}, "31x64; at least 32x32"),
        ({"images": np.zeros((64, 64, 4), np.uint8)}, r"shape \(64, 64, 4\)"),
        ({"images": np.zeros((2, 2, 64, 64, 3), np.uint8)}, "shape"),
        ({"images": np.zeros((0, 64, 64, 3), np.uint8)}, "empty"),
        ({"images": np.zeros((2, 64, 64, 3), np.int32)}, "int32; expected uint8"),
        ({"images": np.full((2, 64, 64, 3), 200.0)}, r"200\.\.200; expected \[0, 1\]"),
        ({"images": np.full((2, 64, 64, 3), -0.5)}, "expected"),
        ({"images": np.full((2, 64, 64, 3), np.nan)}, "nan"),
        ({"key": 0}, "key has dtype int32"),
        ({"key": jax.random.split(jax.random.key(0), 3)}, r"\(3,\).*batch size 2"),
        ({"indices": np.arange(3)}, r"indices have shape \(3,\)"),
        ({"indices": np.zeros(2)}, "expected integers"),
    ],
)
def test_bad_input_gets_a_clear_error(change, message):
    arguments = {
        "images": np.zeros((2, 64, 64, 3), np.uint8),
        "name": "fog",
        "severity": 1,
        "key": jax.random.key(0),
    } | change
    with pytest.raises(ValueError, match=message):
        corrupt(**arguments)

"""The imagecorruptions package behind a seed."""

import importlib.util

import jax
import numpy as np
import pytest

from jaxbio.corruptions import (
    ReferenceCorruptor,
    corrupt,
    corrupt_reference,
    corruption_names,
    reference,
)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = np.kron(rng.uniform(0, 255, (3, 5, 6, 3)), np.ones((1, 8, 8, 1)))
    return np.clip(coarse + rng.normal(0, 8, coarse.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", corruption_names("all"))
def test_reference_is_a_pure_function(name, images):
    np.random.seed(5)
    before = np.random.get_state()[1].copy()
    first = corrupt_reference(images[0], name, 3, (1, 7))
    assert first.shape == images[0].shape
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(corrupt_reference(images[0], name, 3, (1, 7)), first)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    fixed = ("blur", "brightness", "contrast", "pixelate", "jpeg_compression", "saturate")
    if not name.endswith(fixed) or name in ("glass_blur", "motion_blur"):
        assert (corrupt_reference(images[0], name, 3, (1, 8)) != first).any()


@pytest.mark.parametrize(
    "name", ["brightness", "contrast", "saturate", "zoom_blur", "gaussian_blur", "defocus_blur"]
)
def test_compiled_corruptions_equal_the_reference_at_severities_without_vectors(name, images):
    ours = np.asarray(corrupt(images, name, 4, jax.random.key(0)), int)
    theirs = np.stack([corrupt_reference(image, name, 4, 0) for image in images])
    assert (np.abs(ours - theirs) > 1).mean() <= 1e-3


def test_grey_images_and_errors(images):
    grey = images[0, ..., 0]
    assert corrupt_reference(grey, "fog", 1, 0).shape == grey.shape
    assert corrupt_reference(grey[..., None], "shot_noise", 1, 0).shape == (*grey.shape, 1)
    with pytest.raises(ValueError, match="31x48; at least 32"):
        corrupt_reference(images[0, :31], "fog", 1, 0)
    with pytest.raises(ValueError, match="float64; the reference takes uint8"):
        corrupt_reference(images[0] / 255, "fog", 1, 0)
    with pytest.raises(ValueError, match="unknown corruption"):
        corrupt_reference(images[0], "rain", 1, 0)
    with pytest.raises(ValueError, match="severity 7"):
        corrupt_reference(images[0], "fog", 7, 0)


def test_corruptor_in_this_process(images):
    with ReferenceCorruptor("impulse_noise", 2, seed=3, workers=1) as corruptor:
        out = corruptor(list(images), [4, 5, 6])
        swapped = corruptor(list(images[::-1]), [6, 5, 4])
        with pytest.raises(ValueError, match="3 images but 1 indices"):
            corruptor(list(images), [0])
    np.testing.assert_array_equal(np.stack(out), np.stack(swapped[::-1]))
    np.testing.assert_array_equal(out[1], corrupt_reference(images[1], "impulse_noise", 2, (3, 5)))
    with pytest.raises(ValueError, match="workers=-1"):
        ReferenceCorruptor("fog", 1, seed=0, workers=-1)


@pytest.mark.slow
def test_worker_processes_give_the_same(images):
    alone = ReferenceCorruptor("glass_blur", 1, seed=3, workers=1)(list(images), [0, 1, 2])
    with ReferenceCorruptor("glass_blur", 1, seed=3, workers=2) as corruptor:
        np.testing.assert_array_equal(corruptor(list(images), [0, 1, 2]), alone)
    assert corruptor._pool is None


def test_a_missing_package_is_reported(images, monkeypatch):
    reference._package.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    try:
        with pytest.raises(ModuleNotFoundError, match="pip install imagecorruptions"):
            corrupt_reference(images[0], "fog", 1, 0)
    finally:
        reference._package.cache_clear()

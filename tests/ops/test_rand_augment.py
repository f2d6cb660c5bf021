"""RandAugment and random erasing: PIL as the oracle of every operation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from jaxbio.errors import InputError
from jaxbio.ops.rand_augment import OPERATIONS, apply_operation, rand_augment
from jaxbio.ops.random_erasing import random_erasing

FILL = (0.5, 0.4, 0.1)


def picture(seed=0, height=24, width=32):
    """Smooth, with a narrow range of grey levels and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (3 + c) + y / 5 + c) for c in range(3)]
    values = 120 + 50 * np.stack(waves, -1) + rng.integers(-5, 6, (height, width, 3))
    return values.astype(np.uint8)


def by_pil(pixels, name, level, negative):
    image = Image.fromarray(pixels)
    signed = -level if negative else level
    factor = max(0.1, 1 + 0.9 * signed)
    fill = tuple(round(255 * f) for f in FILL)

    def affine(*matrix):
        return image.transform(
            image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill
        )

    operations = {
        "auto_contrast": lambda: ImageOps.autocontrast(image),
        "equalize": lambda: ImageOps.equalize(image),
        "invert": lambda: ImageOps.invert(image),
        "rotate": lambda: image.rotate(30 * signed, Image.Resampling.BILINEAR, fillcolor=fill),
        "posterize": lambda: image.point([i & ~(2 ** (4 + int(4 * level)) - 1) & 255
                                          for i in range(256)] * 3),
        "solarize": lambda: ImageOps.solarize(image, 256 - int(256 * level)),
        "solarize_add": lambda: image.point(
            [min(255, i + int(110 * level)) if i < 128 else i for i in range(256)] * 3
        ),
        "color": lambda: ImageEnhance.Color(image).enhance(factor),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(factor),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(factor),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(factor),
        "shear_x": lambda: affine(1, 0.3 * signed, 0, 0, 1, 0),
        "shear_y": lambda: affine(1, 0, 0, 0.3 * signed, 1, 0),
        "translate_x": lambda: affine(1, 0, 0.45 * signed * image.width, 0, 1, 0),
        "translate_y": lambda: affine(1, 0, 0, 0, 1, 0.45 * signed * image.height),
    }  # fmt: skip
    return np.asarray(operations[name]()).astype(int)


compiled = jax.jit(apply_operation, static_argnames="fill")


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("level", "negative"), [(0.9, False), (0.62, True), (0.0, False)])
def test_operations_are_pils(name, level, negative):
    pixels = picture()
    ours = np.asarray(
        compiled(pixels, OPERATIONS.index(name), np.float32(level), negative, fill=FILL)
    ).astype(int)
    difference = np.abs(ours - by_pil(pixels, name, level, negative))
    moved = name in ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
    if moved:
        # PIL samples with fixed-point weights, and borders may fall on either side.
        assert np.quantile(difference, 0.98) <= 2
        assert difference.mean() < 1.5
    else:
        assert difference.max() <= 1
        assert difference.mean() < 0.6


def test_operations_without_a_draw_change_nothing():
    pixels = picture()
    np.testing.assert_array_equal(compiled(pixels, -1, np.float32(0.9), False, fill=FILL), pixels)


def test_flat_images_survive():
    flat = np.full((8, 8, 3), 77, np.uint8)
    for name in ("auto_contrast", "equalize"):
        ours = compiled(flat, OPERATIONS.index(name), np.float32(0.9), False, fill=FILL)
        np.testing.assert_array_equal(ours, flat)


@pytest.mark.slow
def test_an_image_depends_on_its_key_alone():
    images = jnp.asarray(np.stack([picture(i, 16, 16) for i in range(6)]))
    keys = jax.random.split(jax.random.key(3), 6)
    whole = rand_augment(images, keys)
    assert whole.dtype == jnp.uint8
    np.testing.assert_array_equal(whole[4:5], rand_augment(images[4:5], keys[4:5]))
    changed = np.any(np.asarray(whole != images), (1, 2, 3))
    assert changed.any()


@pytest.mark.slow
def test_half_of_the_layers_act():
    images = jnp.asarray(np.repeat(picture(0, 8, 8)[None], 400, 0))
    after = rand_augment(images, jax.random.split(jax.random.key(0), 400), layers=1)
    share = np.any(np.asarray(after != images), (1, 2, 3)).mean()
    assert 0.38 < share < 0.6


def test_rand_augment_needs_pixels():
    with pytest.raises(InputError, match="uint8"):
        rand_augment(jnp.zeros((1, 8, 8, 3)), jax.random.split(jax.random.key(0), 1))


def test_erasing_fills_rectangles_of_the_right_size_with_noise():
    images = jnp.full((2000, 16, 20, 1), 50.0)
    keys = jax.random.split(jax.random.key(0), 2000)
    after = np.asarray(random_erasing(images, keys, probability=0.25))
    erased = (after != 50.0).any(-1)
    hit = erased.any((1, 2))
    assert 0.21 < hit.mean() < 0.29
    for mask in erased[hit][:50]:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert math.sqrt(0.02 * 320 * 0.3) - 1 <= len(rows) <= math.sqrt(320 / 3 / 0.3) + 1
    noise = after[erased]
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.02
    part = random_erasing(images[:7], keys[:7], probability=0.25)
    np.testing.assert_array_equal(after[:7], part)

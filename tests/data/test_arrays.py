"""Images in memory: the batches that earlier versions made with tensorflow, bit for bit."""

import hashlib
import itertools
import logging
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbio.data import Source, arrays, eval_batches, open_source, resident, train_batches
from jaxbio.data.philox import shuffled, uniform
from jaxbio.data.settings import read_settings
from jaxbio.data.squares import resized, sampled
from jaxbio.data.types import ArraySplit
from jaxbio.data.windows import DRAWS, random_windows, sample_positions

from .conftest import config, picture

# SHA-256 of images and indices of steps 2 to 7, batches of 64, seed 3, crop_scale (0.25, 1), made
# by the tf.data pipeline of jaxbio 0.1.0 with tensorflow 2.21.
_DIGESTS = {
    ("digits", "none", 32): "c2c6cd86104c3631",
    ("digits", "none", 40): "b6725bbe9bc460f8",
    ("digits", "crop_flip", 32): "55fc53f88273a83a",
    ("digits", "crop_flip", 40): "b7b9402e97ce9451",
    ("digits", "shift", 32): "9a72ebd3fb26dbbe",
    ("digits", "shift", 40): "e743cda299f0e3d8",
    ("coloured", "none", 32): "bb8bdbb688d36f5b",
    ("coloured", "none", 40): "4478f022e5f9b6d1",
    ("coloured", "crop_flip", 32): "583e1a585be8a6e5",
    ("coloured", "crop_flip", 40): "16536fb22ddcc5a1",
    ("coloured", "shift", 32): "7c246109d91482dc",
    ("coloured", "shift", 40): "99423870619c97a7",
    ("grey", "none", 32): "09251fd7ad7d2e1d",
    ("grey", "none", 40): "da2655db583e6040",
    ("grey", "crop_flip", 32): "5eed06757c42ff10",
    ("grey", "crop_flip", 40): "63d5d6f7d8541a85",
    ("grey", "shift", 32): "6e5e60baffb3c71a",
    ("grey", "shift", 40): "898a6c102231813c",
}


def _sources():
    rng = np.random.default_rng(0)

    def noise(count, side, channels):
        images = rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
        split = ArraySplit(images, rng.integers(0, 10, count).astype(np.int32))
        return Source("noise", list("0123456789"), split, split, True, lambda: "")

    digits = open_source(config(source="digits"))
    return {"digits": digits, "coloured": noise(300, 32, 3), "grey": noise(200, 28, 1)}


_SOURCES = _sources()


def _config(augmentation, size):
    return config(
        source="digits", image_size=size, augmentation=augmentation, crop_scale=(0.25, 1.0)
    )


@pytest.mark.parametrize(("name", "augmentation", "size"), _DIGESTS)
def test_batches_are_those_of_earlier_versions(name, augmentation, size):
    cfg = _config(augmentation, size)
    common = {"global_batch_size": 64, "seed": 3, "start_step": 2, "num_steps": 6}
    batches = list(train_batches(_SOURCES[name], cfg, **common))
    digest = hashlib.sha256()
    for key in ("image", "index"):
        digest.update(np.stack([batch[key] for batch in batches]).tobytes())
    assert digest.hexdigest()[:16] == _DIGESTS[name, augmentation, size]


def test_random_numbers_are_tensorflows():
    np.testing.assert_array_equal(shuffled(1000, 6, 3)[:6], [973, 335, 658, 874, 660, 394])
    drawn = uniform(7, 123456789012, (7, 41))
    np.testing.assert_array_equal(
        drawn[0, :3], np.float32([0.48527979850769043, 0.09881317615509033, 0.30029237270355225])
    )
    assert drawn[6, -1] == np.float32(0.9080570936203003)
    for count in (1, 2, 5, 4096):
        np.testing.assert_array_equal(np.sort(shuffled(count, -7, 2**40)), np.arange(count))


@pytest.mark.slow
def test_random_numbers_are_those_of_the_installed_tensorflow():
    from jaxbio.data.tensorflow_cpu import tf

    for seed, number in ((0, 0), (-5, 1), (2**61, 2**62), (1, 2**33)):
        key = tf.constant([seed, number], tf.int64)
        theirs = tf.random.stateless_uniform((13, 3), key).numpy()
        np.testing.assert_array_equal(uniform(seed, number, (13, 3)), theirs)
        theirs = tf.random.experimental.stateless_shuffle(tf.range(777), key).numpy()
        np.testing.assert_array_equal(shuffled(777, seed, number), theirs)


def test_windows_lie_within_and_have_the_published_distribution():
    drawn = uniform(0, 0, (20_000, 40))
    top, left, height, width = random_windows(drawn, 224, (0.2, 0.8))
    assert min(top.min(), left.min()) >= 0
    assert (top + height).max() <= 224
    assert (left + width).max() <= 224
    area = height * width / 224**2
    assert 0.19 < area.min() < 0.21
    assert area.max() < 0.81
    assert abs(area.mean() - 0.495) < 0.005
    ratio = np.log(width / height)
    assert abs(ratio.mean()) < 0.01
    assert np.abs(ratio).max() < np.log(4 / 3) + 0.02


def _sampled(images, draws, **keys):
    settings = read_settings(config(source="digits", image_size=images.shape[1], **keys))
    rows, columns = sample_positions(settings, draws.astype(np.float32), images.shape[1])
    return sampled(images.astype(np.float32), rows, columns)


def test_crop_of_all_is_the_image_or_its_mirror():
    images = np.stack([picture(i, 16, 16) for i in range(3)])
    draws = np.full((3, DRAWS["crop_flip"]), 0.5)
    draws[:, -1] = 0.9, 0.1, 0.6
    cropped = _sampled(images, draws, augmentation="crop_flip", crop_scale=(1.0, 1.0))
    images[1] = images[1][:, ::-1]
    np.testing.assert_array_equal(cropped, images)


def test_crop_is_the_resized_window():
    images = np.stack([picture(i, 40, 40) for i in range(20)])
    draws = np.random.default_rng(0).random((20, DRAWS["crop_flip"]), np.float32)
    keys = {"augmentation": "crop_flip", "crop_scale": (0.2, 0.8), "flip": False}
    settings = read_settings(config(source="digits", image_size=40))
    windows = np.stack(random_windows(draws[:, :-1], 40, (0.2, 0.8)), 1).astype(int)
    cropped = _sampled(images, draws, **keys)
    for image, ours, (top, left, height, width) in zip(images, cropped, windows, strict=True):
        window = resized(image[None, top : top + height, left : left + width], settings, True)[0]
        # At the border the window's neighbours take part.
        np.testing.assert_allclose(ours[3:-3, 3:-3], window[3:-3, 3:-3], atol=1e-2)


def test_shift_moves_and_fills_with_black():
    images = np.stack([picture(0, 20, 20)]) // 2 + 1
    # Zoom 1; down by 0.1 * 20 * 0.5 * 2 = 2, left by as much.
    moved = _sampled(images, np.array([[0.5, 1.0, 0.0]]), augmentation="shift")
    np.testing.assert_allclose(moved[0, 2:, :-2], images[0, :-2, 2:], atol=1e-3)
    assert not moved[0, :2].any()
    assert not moved[0, :, -2:].any()


@pytest.mark.parametrize(("side", "size", "shorter"), [(64, 32, 0), (40, 32, 36), (20, 32, 40)])
def test_resizing_is_that_of_encoded_images(side, size, shorter):
    from PIL import Image

    pixels = picture(1, side, side)
    settings = read_settings(config(source="digits", image_size=size, resize_size=shorter))
    ours = np.rint(resized(pixels[None], settings, True)[0])
    whole = shorter or size
    theirs = np.asarray(Image.fromarray(pixels).resize((whole, whole), Image.Resampling.BILINEAR))
    begin = (whole - size) // 2
    theirs = theirs[begin : begin + size, begin : begin + size]
    assert np.abs(ours - theirs).max() <= 1


def _on_devices(source, cfg, devices, **common):
    mesh = jax.make_mesh((devices,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    settings = read_settings(cfg)
    assert resident.is_resident(source, settings)
    return resident.train_batches(
        source,
        settings,
        rows=slice(0, common["global_batch_size"]),
        whole=NamedSharding(mesh, P()),
        split=NamedSharding(mesh, P("data")),
        **common,
    )


def _check_devices(name, augmentation, size, devices):
    cfg = _config(augmentation, size)
    cfg.resident = True
    common = {"global_batch_size": 64, "seed": 3, "start_step": 2, "num_steps": 6}
    ours = list(_on_devices(_SOURCES[name], cfg, devices, **common))
    host = list(train_batches(_SOURCES[name], cfg, **common))
    assert len(ours) == len(host) == 6
    for one, other in zip(ours, host, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            np.testing.assert_array_equal(one[key], value)
            assert one[key].dtype == value.dtype


@pytest.mark.parametrize(
    ("name", "augmentation", "devices"), [("digits", "shift", 1), ("coloured", "crop_flip", 2)]
)
def test_devices_make_the_same_batches(name, augmentation, devices):
    _check_devices(name, augmentation, 32, devices)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "augmentation", "size"), _DIGESTS)
def test_devices_make_the_same_batches_of_all_kinds(name, augmentation, size):
    _check_devices(name, augmentation, size, 1)


def test_what_the_devices_cannot_do_is_said(caplog):
    def asked(source, **keys):
        settings = read_settings(config(source="digits", **{"image_size": 32, **keys}))
        return resident.is_resident(source, settings)

    assert asked(_SOURCES["digits"], resident=True)
    assert not asked(_SOURCES["digits"], resident=False)
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "jaxbio.data"):
        assert not asked(_SOURCES["coloured"], resident=True, image_size=16)
    assert "shrink" in caplog.text
    if jax.default_backend() == "cpu":
        assert not asked(_SOURCES["digits"], resident="auto")


def test_batches_in_memory_import_no_tensorflow():
    program = """
import sys
from types import SimpleNamespace
from jaxbio.data import eval_batches, open_source, train_batches
cfg = SimpleNamespace(source="digits", image_size=32, augmentation="shift")
source = open_source(cfg)
next(train_batches(source, cfg, global_batch_size=10, seed=0))
next(eval_batches(source, cfg, global_batch_size=10, transform=lambda images, indices: images))
assert not {"tensorflow", "jax"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_endless_stream_can_be_left():
    batches = train_batches(_SOURCES["digits"], _config("none", 32), global_batch_size=9, seed=0)
    assert len(list(itertools.islice(batches, 3))) == 3
    batches.close()
    assert len(list(eval_batches(_SOURCES["grey"], _config("none", 32), global_batch_size=64))) == 4


def test_plans_are_a_function_of_the_step():
    settings = read_settings(_config("shift", 32))
    whole = list(arrays.plans(20, settings, 6, slice(0, 6), 1, 0, 7))
    for start in (2, 3, 5):  # an epoch has 3 steps
        rest = list(arrays.plans(20, settings, 6, slice(2, 4), 1, start, 7 - start))
        for (index, positions), (expected, places) in zip(rest, whole[start:], strict=True):
            np.testing.assert_array_equal(index, expected[2:4])
            np.testing.assert_array_equal(positions[0].low, places[0].low[2:4])

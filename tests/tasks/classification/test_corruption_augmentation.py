import itertools

import jax
import numpy as np
import pytest

from configs import base
from jaxbio.corruptions import corrupt
from jaxbio.errors import InputError
from jaxbio.runs.mesh import make_mesh, put_batches
from jaxbio.tasks.classification.corruption_augmentation import (
    corrupted,
    read_corruption_augmentation,
)
from tests.tasks.tiny import batch


def _data(**changes):
    data = base.get_config().data
    data.update({"corruption_augmentation": "contrast,gaussian_noise", **changes})
    return data


def _stream(mesh, start_step=0, seed=0, **changes):
    batches = put_batches(({**batch(16, seed=0)} for _ in itertools.count()), mesh)
    return corrupted(
        batches, read_corruption_augmentation(_data(**changes)), mesh, seed, start_step
    )


def _images(stream, steps):
    return [np.asarray(next(stream)["image"]) for _ in range(steps)]


def test_off_by_default():
    assert read_corruption_augmentation(base.get_config().data) is None


@pytest.mark.slow
def test_about_the_share_of_the_images_is_corrupted():
    clean = np.asarray(batch(16)["image"])
    stream = _stream(make_mesh(), corruption_share=0.5)
    changed = [(images != clean).any((1, 2, 3)) for images in _images(stream, 8)]
    assert 0.3 < np.mean(changed) < 0.7  # 128 images: 4.5 standard errors
    assert not np.array_equal(changed[0], changed[1])


def test_a_resumed_run_sees_the_same_pictures():
    whole = _images(_stream(make_mesh()), 5)
    resumed = _images(_stream(make_mesh(), start_step=3), 2)
    np.testing.assert_array_equal(whole[3:], resumed)
    other = _images(_stream(make_mesh(), seed=1), 5)
    assert not np.array_equal(whole, other)


def test_eight_devices_equal_one():
    one = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "fsdp"))
    kinds = {"corruption_augmentation": "gaussian_noise"}
    np.testing.assert_array_equal(
        _images(_stream(make_mesh(), **kinds), 2), _images(_stream(one, **kinds), 2)
    )


def test_the_pictures_are_those_of_corrupt():
    settings = {"corruption_augmentation": "contrast", "corruption_severities": "4"}
    images = _images(_stream(make_mesh(), corruption_share=1.0, **settings), 1)[0]
    expected = corrupt(batch(16)["image"], "contrast", 4, jax.random.key(0))
    np.testing.assert_array_equal(images, expected)


def test_every_kind_is_drawn():
    augmentation = read_corruption_augmentation(
        _data(corruption_augmentation="fog,snow", corruption_severities="2,5")
    )
    drawn = {augmentation.kind(0, step) for step in range(60)}
    assert drawn == {(n, s) for n in ("fog", "snow") for s in (2, 5)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corruption_augmentation": "fogg"}, "data.corruption_augmentation=fogg"),
        ({"corruption_severities": "0"}, "data.corruption_severities='0'"),
        ({"corruption_share": 0.0}, "data.corruption_share=0.0"),
        ({"image_size": 28}, "data.image_size=28"),
    ],
)
def test_wrong_settings_are_one_line(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        read_corruption_augmentation(_data(**changes))
    assert "\n" not in str(caught.value)

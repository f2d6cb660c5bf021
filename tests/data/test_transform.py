import threading
import time

import numpy as np
import pytest
from PIL import Image

from jaxbio.data import DataError, eval_batches, open_source
from jaxbio.data.background import in_background

from .conftest import config


def test_an_identity_changes_nothing(opened):
    source, settings = opened
    for split in ("eval", "train"):
        plain, changed = (
            list(
                eval_batches(
                    source, settings(), global_batch_size=40, split=split, transform=transform
                )
            )
            for transform in (None, lambda images, indices: images)
        )
        assert len(plain) == len(changed)
        for one, other in zip(plain, changed, strict=True):
            for name, values in one.items():
                np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_it_sees_whole_images_a_batch_at_a_time(opened):
    source, settings = opened
    calls = []

    def transform(images, indices):
        calls.append((images, indices))
        return images

    size = 4 if source.name == "folder" else 150
    list(eval_batches(source, settings(), global_batch_size=size, transform=transform))
    assert [i for _, indices in calls for i in indices] == list(range(source.num_eval))
    assert all(len(indices) == size for _, indices in calls[:-1])
    for images, indices in calls:
        assert len(images) == len(indices)
        for image, index in zip(images, indices, strict=True):
            assert isinstance(index, int)
            assert image.dtype == np.uint8
            if source.name == "folder":
                with Image.open(source.eval.paths[index]) as file:
                    width, height = file.size
                assert image.shape == (height, width, 3)
            else:
                expected = np.repeat(source.eval.images[index], 3, axis=-1)
                np.testing.assert_array_equal(image, expected)


def test_processes_see_their_part(opened):
    source, settings = opened
    seen = []
    for process in range(2):
        batches = eval_batches(
            source,
            settings(),
            global_batch_size=4 if source.name == "folder" else 100,
            process_index=process,
            process_count=2,
            transform=lambda images, indices: seen.extend(indices) or images,
        )
        list(batches)
    assert sorted(seen) == list(range(source.num_eval))


def test_it_comes_before_resize_and_crop(image_folder):
    cfg = config(source="folder", data_dir=str(image_folder), image_size=16, resize_size=16)

    def halves(images, indices):
        del indices
        return [
            np.concatenate([np.zeros_like(i[: len(i) // 2]), i[len(i) // 2 :] // 2 + 99])
            for i in images
        ]

    for batch in eval_batches(
        open_source(cfg), cfg, global_batch_size=15, transform=lambda i, n: halves(i, n)
    ):
        assert not batch["image"][:, :6].any()
        assert batch["image"][:, 10:].min() > 90


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (lambda images, indices: images[:-1], "return as many"),
        (lambda images, indices: None, "return as many"),
        (lambda images, indices: [i.astype(np.float32) for i in images], "float32"),
        (lambda images, indices: [i[..., 0] for i in images], "for example 0: return uint8"),
    ],
)
def test_wrong_results_are_named(opened, transform, words):
    source, settings = opened
    with pytest.raises(DataError, match=words):
        list(eval_batches(source, settings(), global_batch_size=5, transform=transform))


def test_its_own_errors_come_through(opened):
    source, settings = opened

    def transform(images, indices):
        raise ZeroDivisionError("mine")

    before = set(threading.enumerate())
    with pytest.raises(ZeroDivisionError, match="mine"):
        next(eval_batches(source, settings(), global_batch_size=5, transform=transform))
    assert not threads_since(before)  # although the error's traceback holds their frames


def threads_since(before):
    return [t for t in threading.enumerate() if t.name == "jaxbio.data" and t not in before]


def test_it_works_ahead(opened):
    source, settings = opened
    before = set(threading.enumerate())
    calls = []

    def transform(images, indices):
        calls.append(indices)
        return images

    batches = eval_batches(source, settings(prefetch=2), global_batch_size=3, transform=transform)
    next(batches)
    deadline = time.monotonic() + 20
    while len(calls) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert 3 <= len(calls) <= 4  # the one taken, two ready, one in hand
    batches.close()
    assert not threads_since(before)


def test_background_keeps_order_and_ends():
    before = set(threading.enumerate())
    assert list(in_background(iter(range(50)), 3)) == list(range(50))
    assert not threads_since(before)


def test_background_raises_after_the_items_before():
    def items():
        yield 1
        raise KeyError("late")

    ahead = in_background(items(), 2)
    assert next(ahead) == 1
    with pytest.raises(KeyError, match="late"):
        next(ahead)

import gzip
import os

import numpy as np
import pytest

from jaxbio.data import DataError, eval_batches, open_source, train_batches

from .conftest import config

DIMENSIONS = {"images": 3, "labels": 1}


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


def write_mnist(root, compressed):
    rng = np.random.default_rng(0)
    arrays = {}
    (root / "mnist").mkdir()
    for split, count in (("train", 20), ("t10k", 7)):
        arrays[split] = rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)
        for name, array in zip(("images", "labels"), arrays[split], strict=True):
            path = root / "mnist" / f"{split}-{name}-idx{DIMENSIONS[name]}-ubyte"
            if compressed:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx(array)))
            else:
                path.write_bytes(idx(array))
    return arrays


@pytest.mark.parametrize("compressed", [False, True])
def test_reads_idx(tmp_path, compressed):
    arrays = write_mnist(tmp_path, compressed)
    source = open_source(config(source="mnist", data_dir=str(tmp_path)))
    assert (source.num_train, source.num_eval) == (20, 7)
    for split, name in ((source.train, "train"), (source.eval, "t10k")):
        np.testing.assert_array_equal(split.images[..., 0], arrays[name][0])
        np.testing.assert_array_equal(split.labels, arrays[name][1])


def test_batches_hold_the_files_pixels(tmp_path):
    images, labels = write_mnist(tmp_path, False)["t10k"]
    cfg = config(source="mnist", data_dir=str(tmp_path), image_size=28)
    (batch,) = eval_batches(open_source(cfg), cfg, global_batch_size=7)
    for channel in range(3):
        np.testing.assert_array_equal(batch["image"][..., channel], images)
    np.testing.assert_array_equal(batch["label"], labels)


def open_changed(root, name, change):
    path = root / "mnist" / name
    path.write_bytes(change(path.read_bytes()))
    return open_source(config(source="mnist", data_dir=str(root)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: b[:-1], "fetch it again"),
        (lambda b: b + b"0", "fetch it again"),
        (lambda b: b[:10], "within its header"),
        (lambda b: b"", "begins with nothing"),
        (lambda b: b"\x00\x00\x09\x03" + b[4:], "begins with 00 00 09 03"),
    ],
)
def test_broken_file_is_named(tmp_path, change, words):
    write_mnist(tmp_path, False)
    with pytest.raises(DataError, match=words) as caught:
        open_changed(tmp_path, "t10k-images-idx3-ubyte", change)
    assert str(tmp_path / "mnist" / "t10k-images-idx3-ubyte") in str(caught.value)


@pytest.mark.parametrize("change", [lambda b: b[:-20], lambda b: b[:4], lambda b: b"no gzip"])
def test_broken_gzip_is_named(tmp_path, change):
    write_mnist(tmp_path, True)
    with pytest.raises(DataError, match=r"train-labels-idx1-ubyte\.gz"):
        open_changed(tmp_path, "train-labels-idx1-ubyte.gz", change)


def test_images_and_labels_belong_together(tmp_path):
    write_mnist(tmp_path, False)
    with pytest.raises(DataError, match=r"7 images.*6 labels"):
        open_changed(tmp_path, "t10k-labels-idx1-ubyte", lambda b: idx(np.zeros(6)))
    with pytest.raises(DataError, match="label 10"):
        open_changed(tmp_path, "t10k-labels-idx1-ubyte", lambda b: idx(np.full(7, 10)))


def test_missing_file_is_named(tmp_path):
    write_mnist(tmp_path, False)
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte"):
        open_source(config(source="mnist", data_dir=str(tmp_path)))


REAL = os.path.join(os.environ.get("JAXBIO_DATA_DIR", ""), "mnist")


@pytest.mark.skipif(
    not os.path.isdir(REAL), reason="MNIST is not at hand (JAXBIO_DATA_DIR with mnist/ in it)"
)
def test_real_mnist():
    cfg = config(source="mnist", image_size=28)
    source = open_source(cfg)
    assert (source.num_train, source.num_eval) == (60_000, 10_000)
    np.testing.assert_array_equal(source.train.labels[:5], [5, 0, 4, 1, 9])
    assert source.train.images.mean() == pytest.approx(33.318, abs=1e-3)
    batch = next(train_batches(source, cfg, global_batch_size=64, seed=0))
    np.testing.assert_array_equal(batch["label"], source.train.labels[batch["index"]])
    counted = sum(int(b["mask"].sum()) for b in eval_batches(source, cfg, global_batch_size=768))
    assert counted == 10_000

"""CIFAR in all its forms: the same small set, written as each of them."""

import io
import os
import pickle
import tarfile

import numpy as np
import pytest
from PIL import Image

from jaxbio.data import DataError, eval_batches, open_source
from jaxbio.data.cifar import NAMES
from jaxbio.errors import InputError
from tests.files.test_tars import write_tar

from .conftest import config

_RNG = np.random.default_rng(0)
_TRAIN = _RNG.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
_TEST = _RNG.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
_TRAIN_LABELS, _TEST_LABELS = np.arange(20) % 10, np.arange(10)[::-1]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def _rows(images):
    return images.transpose(0, 3, 1, 2).reshape(len(images), -1)


def _binary(images, labels, extra=()):
    columns = [np.full((len(images), 1), e) for e in extra]
    return np.concatenate([*columns, labels[:, None], _rows(images)], 1).astype(np.uint8).tobytes()


def _batch(images, labels, key="labels", **options):
    content = {b"data": _rows(images), key.encode(): labels.tolist(), b"filenames": ["x.png"]}
    return pickle.dumps(content, **options)


def _parts(make):
    """The published files: five of training, one of the test."""
    parts = {
        f"data_batch_{i + 1}": make(_TRAIN[4 * i :][:4], _TRAIN_LABELS[4 * i :][:4])
        for i in range(5)
    }
    return {**parts, "test_batch": make(_TEST, _TEST_LABELS)}


def _pngs():
    contents = {}
    for split, images, labels in (
        ("train", _TRAIN, _TRAIN_LABELS),
        ("test", _TEST, _TEST_LABELS),
    ):
        for i, (image, label) in enumerate(zip(images, labels, strict=True)):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            contents[f"{split}/{NAMES['cifar10'][label]}/{i:04}.png"] = buffer.getvalue()
    return contents


def _write(folder, contents):
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def _forms(place):
    return {
        "binary": lambda: _write(
            place / "cifar-10-batches-bin",
            {f"{n}.bin": c for n, c in _parts(_binary).items()},
        ),
        "batches": lambda: _write(place / "cifar-10-batches-py", _parts(_batch)),
        "batches, Python 2": lambda: _write(
            place, _parts(lambda *a: _batch(*a, protocol=2, fix_imports=True))
        ),
        "binary tar": lambda: write_tar(
            place / "cifar-10-binary.tar.gz",
            {f"cifar-10-batches-bin/{n}.bin": c for n, c in _parts(_binary).items()},
            "w:gz",
        ),
        "batches tar": lambda: write_tar(
            place / "cifar-10-python.tar.gz",
            {f"cifar-10-batches-py/{n}": c for n, c in _parts(_batch).items()},
            "w:gz",
        ),
        "npz": lambda: np.savez(
            place / "x.npz",
            x_train=_TRAIN,
            y_train=_TRAIN_LABELS[:, None],
            x_test=_TEST.transpose(0, 3, 1, 2),
            y_test=_TEST_LABELS,
        ),
        "folder": lambda: _write(place, _pngs()),
        "tar": lambda: write_tar(place / "x.tar.xz", _pngs(), "w:xz"),
    }


def _sorted(split):
    """Content and label of each example, in an order that all forms share."""
    pairs = zip(split.images, split.labels, strict=True)
    return sorted((image.tobytes(), int(label)) for image, label in pairs)


@pytest.mark.parametrize("form", _forms(None))
def test_every_form_is_the_same_set(tmp_path, form):
    place = tmp_path / "cifar10"
    place.mkdir()
    _forms(place)[form]()
    for _ in range(2):  # the second time from the cache where pictures were decoded
        source = open_source(config(source="cifar10", data_dir=str(tmp_path)))
        assert source.class_names == list(NAMES["cifar10"])
        assert (source.num_train, source.num_eval, source.one_size) == (20, 10, True)
        train = zip((i.tobytes() for i in _TRAIN), _TRAIN_LABELS.tolist(), strict=True)
        assert _sorted(source.train) == sorted(train)
        test = zip((i.tobytes() for i in _TEST), _TEST_LABELS.tolist(), strict=True)
        assert _sorted(source.eval) == sorted(test)


def test_the_cache_serves_when_the_pictures_cost(tmp_path, cache, caplog):
    path = write_tar(tmp_path / "cifar10.tar", _pngs())
    cfg = config(source="cifar10", data_dir=str(path))
    first = open_source(cfg)
    (kept,) = (cache / "jaxbio" / "data").iterdir()
    again = open_source(cfg)
    np.testing.assert_array_equal(first.train.images, again.train.images)
    assert first.describe() == again.describe()
    kept.write_bytes(b"damaged")
    np.testing.assert_array_equal(open_source(cfg).train.images, first.train.images)


def test_a_picture_that_changes_is_decoded_again(tmp_path):
    for split in ("train", "test"):
        for i, name in enumerate(NAMES["cifar10"]):
            (tmp_path / "cifar10" / split / name).mkdir(parents=True)
            picture = Image.new("RGB", (32, 32), (i, 0, 0))
            picture.save(tmp_path / "cifar10" / split / name / "0.bmp")
    cfg = config(source="cifar10", data_dir=str(tmp_path))
    assert open_source(cfg).eval.images[:, 0, 0].tolist() == [[i, 0, 0] for i in range(10)]
    picture.save(tmp_path / "cifar10" / "test" / NAMES["cifar10"][0] / "0.bmp")  # as many bytes
    assert open_source(cfg).eval.images[0, 0, 0].tolist() == [9, 0, 0]


def test_cifar100_has_fine_labels(tmp_path):
    assert len(set(NAMES["cifar100"])) == 100
    assert sorted(NAMES["cifar100"]) == list(NAMES["cifar100"])
    labels = _TRAIN_LABELS * 9
    place = tmp_path / "cifar100"
    _write(
        place / "cifar-100-binary",
        {"train.bin": _binary(_TRAIN, labels, [3]), "test.bin": _binary(_TEST, _TEST_LABELS, [1])},
    )
    binary = open_source(config(source="cifar100", data_dir=str(tmp_path)))
    np.testing.assert_array_equal(binary.train.labels, labels)
    np.testing.assert_array_equal(binary.train.images, _TRAIN)
    (place / "cifar-100-binary").rename(place / "away")
    batches = {"train": _batch(_TRAIN, labels, "fine_labels"), "test": _batch(_TEST, _TEST_LABELS)}
    _write(place / "cifar-100-python", batches)
    python = open_source(config(source="cifar100", data_dir=str(tmp_path)))
    assert python.describe() == binary.describe()


class _Evil:
    def __reduce__(self):
        return os.system, ("touch /tmp/owned",)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("data_batch_2.bin", b"\0" * 3074, "no multiple of 3073"),
        ("data_batch_2.bin", b"", "no multiple of 3073"),
        ("data_batch_2.bin", None, r"lacks data_batch_2\[.bin\]"),
        ("test_batch.bin", _binary(_TEST, _TEST_LABELS + 10), "labels 10 to 19"),
    ],
)
def test_damaged_binary_files(tmp_path, name, content, words):
    files = {f"{n}.bin": c for n, c in _parts(_binary).items()}
    if content is None:
        del files[name]
    else:
        files[name] = content
    _write(tmp_path, files)
    with pytest.raises(DataError, match=words) as caught:
        open_source(config(source="cifar10", data_dir=str(tmp_path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps(_Evil()),
        pickle.dumps({b"data": _Evil(), b"labels": [1]}),
        _batch(_TEST, _TEST_LABELS)[:1000],
        pickle.dumps([1, 2]),
        pickle.dumps({b"data": np.zeros((2, 5), np.uint8), b"labels": [1, 2]}),
        b"",
    ],
)
def test_batches_that_are_none_run_nothing(tmp_path, content):
    _write(tmp_path, {**_parts(_batch), "data_batch_3": content})
    with pytest.raises(DataError, match="data_batch_3") as caught:
        open_source(config(source="cifar10", data_dir=str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert not os.path.exists("/tmp/owned")


def test_what_is_no_cifar(tmp_path):
    with pytest.raises(DataError, match=r"cs\.toronto\.edu"):
        open_source(config(source="cifar10", data_dir=str(tmp_path)))
    contents = {name.replace("truck", "lorry"): c for name, c in _pngs().items()}
    path = write_tar(tmp_path / "x.tar", contents)
    with pytest.raises(DataError, match="'lorry'"):
        open_source(config(source="cifar10", data_dir=str(path)))
    large = io.BytesIO()
    Image.new("RGB", (40, 40)).save(large, "PNG")
    path = write_tar(tmp_path / "y.tar", {**_pngs(), "train/cat/large.png": large.getvalue()})
    with pytest.raises(DataError, match=r"large\.png has 40 x 40"):
        open_source(config(source="cifar10", data_dir=str(path)))
    path = write_tar(tmp_path / "z.tar", {**_pngs(), "train/cat/bad.png": b"no picture"})
    with pytest.raises(InputError, match=r"bad\.png"):
        open_source(config(source="cifar10", data_dir=str(path)))


def test_a_tar_serves_as_a_folder(tmp_path, image_folder):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(image_folder, "deeper/images")
    folder = open_source(config(source="folder", data_dir=str(image_folder)))
    tar = open_source(config(source="folder", data_dir=str(tmp_path / "x.tar")))
    assert tar.class_names == folder.class_names
    assert (tar.num_train, tar.num_eval) == (24, 15)
    cfg = config(source="folder", image_size=16)
    for one, other in zip(
        *(eval_batches(s, cfg, global_batch_size=8) for s in (folder, tar)), strict=True
    ):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert "deeper/images/val/cat/000.JPEG" in tar.eval.example_name(0)


def test_a_tar_of_class_folders_is_a_test_set(tmp_path, image_folder):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(image_folder / "val", "some/pictures")
    tar = open_source(config(source="folder", data_dir=str(tmp_path / "x.tar")))
    assert tar.class_names == ["cat", "dog", "emu"]
    assert (tar.num_train, tar.num_eval) == (0, 15)


def test_bad_archives_of_pictures(tmp_path):
    path = write_tar(tmp_path / "x.tar", {"a/b.txt": b"x"})
    with pytest.raises(DataError, match="no pictures"):
        open_source(config(source="folder", data_dir=str(path)))
    path = write_tar(tmp_path / "y.tar", {"train/cat/1.png": b"", "val/dog/1.png": b""})
    with pytest.raises(DataError, match="differ in 2 classes, first 'cat'"):
        open_source(config(source="folder", data_dir=str(path)))
    path = write_tar(tmp_path / "z.tar", {"val/cat/1.png": b"", "val/Cat/1.png": b""})
    with pytest.raises(DataError, match="collide"):
        open_source(config(source="folder", data_dir=str(path)))

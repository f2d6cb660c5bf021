"""SVHN from files of the published form."""

import numpy as np
import pytest
from scipy.io import savemat

from jaxbio.data import open_source
from jaxbio.errors import InputError

from .conftest import config

_RNG = np.random.default_rng(0)
_IMAGES = _RNG.integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
_LABELS = np.array([10, *range(1, 11), 10], np.uint8)[:, None]  # 10 is a zero


def _write(folder, images=_IMAGES, labels=_LABELS, **others):
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / "train_32x32.mat", {"X": images, "y": labels, **others}, do_compression=True)
    savemat(folder / "test_32x32.mat", {"X": _IMAGES[..., :3], "y": _LABELS[:3]})
    return folder


@pytest.mark.parametrize("inner", ["", "svhn"])
def test_the_published_files(tmp_path, inner):
    _write(tmp_path / inner)
    source = open_source(config(source="svhn", data_dir=str(tmp_path)))
    assert (source.num_train, source.num_eval, source.num_classes) == (12, 3, 10)
    np.testing.assert_array_equal(source.train.images[7], _IMAGES[..., 7])
    assert source.train.labels.tolist() == [0, *range(1, 10), 0, 0]
    assert source.one_size


def test_what_is_no_svhn(tmp_path):
    with pytest.raises(InputError, match=r"train_32x32\.mat"):
        open_source(config(source="svhn", data_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": _IMAGES.astype(float)}, "uint8"),
        ({"images": _IMAGES[:28]}, "32, 32, 3, N"),
        ({"labels": _LABELS[:5]}, "5 labels"),
        ({"labels": _LABELS % 10}, "1 to 10"),
    ],
)
def test_other_contents(tmp_path, changes, words):
    _write(tmp_path, **changes)
    with pytest.raises(InputError, match=words):
        open_source(config(source="svhn", data_dir=str(tmp_path)))


def test_damaged_and_missing_files(tmp_path):
    folder = _write(tmp_path)
    train = folder / "train_32x32.mat"
    train.write_bytes(train.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"train_32x32\.mat"):
        open_source(config(source="svhn", data_dir=str(tmp_path)))
    train.unlink()
    with pytest.raises(InputError, match="is missing"):
        open_source(config(source="svhn", data_dir=str(tmp_path)))

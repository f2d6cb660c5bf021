import json
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict, FrozenConfigDict

from jaxbio.data import DataError, open_source
from jaxbio.errors import InputError

from .conftest import config


def test_digits_are_split_by_class():
    source = open_source(config(source="digits"))
    assert (source.num_train, source.num_eval, source.num_classes) == (1433, 364, 10)
    assert source.class_names == list("0123456789")
    train, test = (np.bincount(s.labels, minlength=10) for s in (source.train, source.eval))
    np.testing.assert_array_equal(test, np.ceil((train + test) / 5))
    assert source.train.images.shape == (1433, 8, 8, 1)
    assert source.train.images.dtype == np.uint8
    assert (source.train.images.min(), source.train.images.max()) == (0, 255)


def test_digits_are_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    truth = datasets.load_digits()
    source = open_source(config(source="digits"))
    held_out = np.zeros(1797, bool)
    for digit in range(10):
        held_out[np.flatnonzero(truth.target == digit)[::5]] = True
    for split, rows in ((source.eval, held_out), (source.train, ~held_out)):
        np.testing.assert_array_equal(split.labels, truth.target[rows])
        np.testing.assert_array_equal(split.images[..., 0], np.round(truth.images[rows] * 255 / 16))


def test_description_is_json_and_stable():
    first, second = (open_source(config(source="digits")).describe() for _ in range(2))
    assert first == second == json.loads(json.dumps(first))
    assert set(first) == {"name", "num_classes", "num_train", "num_eval", "fingerprint"}


@pytest.mark.parametrize("kind", [ConfigDict, FrozenConfigDict])
def test_takes_ml_collections(kind):
    assert open_source(kind({"source": "digits", "other_key": 3})).num_classes == 10


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"source": "imagenet"}, ["data.source='imagenet'", "folder"]),
        ({"source": "tfds:"}, ["data.source='tfds:'"]),
        ({"image_size": 0}, ["data.image_size=0"]),
        ({"image_size": -3}, ["data.image_size=-3"]),
        ({"image_size": 32.5}, ["data.image_size=32.5"]),
        ({"image_size": 32, "resize_size": 31}, ["data.resize_size=31", "data.image_size=32"]),
        ({"augmentation": "mixup"}, ["data.augmentation='mixup'", "crop_flip"]),
        ({"crop_scale": (0.5, 0.1)}, ["data.crop_scale=(0.5, 0.1)"]),
        ({"crop_scale": 0.5}, ["data.crop_scale=0.5"]),
        ({"max_shift": 1.0}, ["data.max_shift=1.0"]),
        ({"max_zoom": -0.1}, ["data.max_zoom=-0.1"]),
        ({"max_bad_files": -1}, ["data.max_bad_files=-1"]),
        ({"cache": "yes"}, ["data.cache='yes'"]),
        ({"num_threads": -1}, ["data.num_threads=-1"]),
        ({"prefetch": 0}, ["data.prefetch=0"]),
        ({"image_size": "32"}, ["data.image_size='32'"]),
        ({"max_shift": "a"}, ["data.max_shift='a'"]),
        ({"source": 3}, ["data.source=3"]),
    ],
)
def test_errors_name_key_and_value(keys, words):
    with pytest.raises(DataError) as caught:
        open_source(config(**{"source": "digits", **keys}))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_data_error_is_an_input_error():
    assert issubclass(DataError, InputError)
    assert issubclass(DataError, ValueError)


@pytest.mark.parametrize("source", ["mnist", "folder"])
def test_missing_data_dir(source, tmp_path, monkeypatch):
    monkeypatch.delenv("JAXBIO_DATA_DIR", raising=False)
    with pytest.raises(DataError, match="JAXBIO_DATA_DIR"):
        open_source(config(source=source))
    missing = tmp_path / "nowhere"
    with pytest.raises(DataError, match="nowhere"):
        open_source(config(source=source, data_dir=str(missing)))
    monkeypatch.setenv("JAXBIO_DATA_DIR", str(missing))
    with pytest.raises(DataError, match="nowhere"):
        open_source(config(source=source))


@pytest.mark.slow
def test_tensorflow_is_imported_late_and_quietly_and_lets_the_program_end():
    program = """
import sys
from types import SimpleNamespace
import jaxbio.data as data
cfg = SimpleNamespace(source="digits", image_size=8)
source = data.open_source(cfg)
source.describe(), data.steps_per_epoch(source, 10)
assert "tensorflow" not in sys.modules, "too early"
assert "sklearn" not in sys.modules
batch = next(data.train_batches(source, cfg, global_batch_size=10, seed=0))
assert "tensorflow" not in sys.modules, "a set in memory needs none"
import tensorflow as tf

# Threads that call Python while the program ends used to hang it.
record = tf.io.encode_jpeg(tf.zeros((9, 9, 3), tf.uint8)).numpy()
split = data.types.RecordSplit("records", 50, read=lambda index: (record, 0))
records = data.Source("records", ["one"], split, split, False, lambda: "")
endless = data.train_batches(records, cfg, global_batch_size=5, seed=0)
print(batch["image"].shape, next(endless)["label"].shape)
assert "tensorflow_datasets" not in sys.modules
assert not tf.config.get_visible_devices("GPU")
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "(10, 8, 8, 3) (5,)\n"
    assert run.stderr == ""

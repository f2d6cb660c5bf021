"""Shards: what is written reads as its source does, whole, by processes, after a restart."""

import json
import tarfile

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.data import DataError, eval_batches, open_source, train_batches
from jaxbio.data.shard_writer import write_shards
from jaxbio.errors import InputError

from .conftest import config, write_folder

SHARDS = 5


@pytest.fixture(scope="module")
def sharded(image_folder, tmp_path_factory):
    """The image folder in five shards; not to be changed."""
    folder = tmp_path_factory.mktemp("shards") / "set"
    write_shards(open_source(of_folder(image_folder)), folder, SHARDS)
    return folder


def of_folder(root, **keys):
    return settings(root, source="folder", **keys)


def settings(root, **keys):
    common = {"source": "shards", "data_dir": str(root), "image_size": 16}
    return config(**{**common, "augmentation": "crop_flip", **keys})


def copied(sharded, tmp_path):
    for path in sharded.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def assert_equal_batches(ours, expected):
    for one, other in zip(ours, expected, strict=True):
        assert one.keys() == other.keys()
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)


@pytest.mark.slow
def test_batches_are_those_of_the_source(sharded, image_folder):
    """Training, a resumed training, evaluation and a part held out, bit for bit."""
    for keys in ({}, {"split": 0.25}):
        ours, theirs = settings(sharded, **keys), of_folder(image_folder, **keys)
        source, original = open_source(ours), open_source(theirs)
        assert source.class_names == original.class_names
        common = {"global_batch_size": 6, "seed": 3}
        expected = list(train_batches(original, theirs, **common, num_steps=5))
        assert_equal_batches(train_batches(source, ours, **common, num_steps=5), expected)
    later = train_batches(source, ours, **common, start_step=3, num_steps=2)
    assert_equal_batches(later, expected[3:])
    pairs = ((source, ours), (original, theirs))
    assert_equal_batches(*(eval_batches(s, c, global_batch_size=4) for s, c in pairs))


def test_processes_share_every_batch(sharded):
    cfg = settings(sharded)
    source = open_source(cfg)
    common = {"global_batch_size": 6, "seed": 1, "num_steps": 4}
    whole = list(train_batches(source, cfg, **common))
    parts = [
        list(train_batches(source, cfg, **common, process_index=i, process_count=2))
        for i in range(2)
    ]
    joined = [
        {name: np.concatenate([one[name], two[name]]) for name in one}
        for one, two in zip(*parts, strict=True)
    ]
    assert_equal_batches(joined, whole)
    seen = np.concatenate([batch["index"] for batch in joined])
    np.testing.assert_array_equal(np.sort(seen), np.arange(24))  # an epoch: every picture once


def test_the_number_of_shards_makes_no_difference(sharded, image_folder, tmp_path):
    write_shards(open_source(of_folder(image_folder)), tmp_path / "one", 1)
    one, many = (open_source(settings(folder)) for folder in (tmp_path / "one", sharded))
    assert one.describe() == many.describe()
    assert len(list((tmp_path / "one").glob("*.tfrecord"))) == 2
    assert len(list(sharded.glob("train-*-of-00005.tfrecord"))) == SHARDS


def test_other_programs_read_the_records(sharded):
    import tensorflow as tf

    files = sorted(map(str, sharded.glob("train-*.tfrecord")))
    features = {
        "image/encoded": tf.io.FixedLenFeature((), tf.string),
        "image/class/label": tf.io.FixedLenFeature((), tf.int64),
    }
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    parsed = [tf.io.parse_single_example(record, features) for record in records]
    counts = np.bincount([int(p["image/class/label"]) for p in parsed])
    np.testing.assert_array_equal(counts, [8, 8, 8])
    assert tf.io.decode_image(parsed[0]["image/encoded"]).shape[2] == 3


def test_arrays_become_lossless_pictures(tmp_path):
    digits = open_source(config(source="digits"))
    assert main(["data", "shard", "digits", str(tmp_path / "d"), "--shards=3"]) == 0
    cfg = settings(tmp_path / "d", augmentation="none", image_size=8)
    source = open_source(cfg)
    assert source.one_size
    assert (source.num_train, source.num_eval) == (1433, 364)
    (batch,) = eval_batches(source, cfg, global_batch_size=364)
    np.testing.assert_array_equal(batch["image"][..., :1], digits.eval.images)
    np.testing.assert_array_equal(batch["label"], digits.eval.labels)


def test_commands_tell_shards_by_their_path(sharded, capsys, tmp_path):
    shown = ["data", "show", str(sharded), f"--output={tmp_path / 'x.png'}", "--samples=2"]
    assert main(shown) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cat", "8", "5"] in rows
    assert main(["data", "shard", "digits", str(sharded)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_archive_can_be_sharded(tmp_path):
    write_folder(tmp_path / "animals", 3, 2)
    with tarfile.open(tmp_path / "animals.tar", "w") as archive:
        archive.add(tmp_path / "animals", "animals")
    write_shards(open_source(of_folder(tmp_path / "animals.tar")), tmp_path / "set", 64)
    source = open_source(settings(tmp_path / "set"))
    assert (source.num_train, source.num_eval) == (9, 6)
    assert len(list((tmp_path / "set").glob("*.tfrecord"))) == 15  # no empty shards


def test_addresses_that_tensorflow_knows(sharded):
    """Buckets cannot be had in a test; ``ram://`` is reached through the same functions."""
    import tensorflow as tf

    tf.io.gfile.makedirs("ram://bucket/set")
    for path in sharded.iterdir():
        with tf.io.gfile.GFile(f"ram://bucket/set/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    ours, local = settings("ram://bucket/set"), settings(sharded)
    batches = [
        train_batches(open_source(c), c, global_batch_size=6, seed=3, num_steps=3)
        for c in (ours, local)
    ]
    assert_equal_batches(*batches)
    for place, word in (("ram://bucket/none", "shards.json"), ("nosuch://bucket/x", "plugin")):
        with pytest.raises(DataError, match=word) as caught:
            open_source(settings(place))
        assert "\n" not in str(caught.value)


def _without_two(folder):
    for number in (1, 3):
        (folder / f"train-0000{number}-of-00005.tfrecord").unlink()


def _truncated(folder):
    path = folder / "eval-00002-of-00005.tfrecord"
    path.write_bytes(path.read_bytes()[:-7])


def _other_index(folder):
    path = folder / "train.index"
    path.write_bytes(path.read_bytes()[20:] + bytes(20))


def _described(**changes):
    def change(folder):
        path = folder / "shards.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def _without_description(folder):
    (folder / "shards.json").unlink()


def _with_a_wrong_place(folder):
    """An index that leads out of its shard, with a checksum that is right."""
    import zlib

    content = bytearray((folder / "train.index").read_bytes())
    content[:8] = (2**63).to_bytes(8, "little")
    (folder / "train.index").write_bytes(content)
    about = json.loads((folder / "shards.json").read_text())
    about["splits"]["train"]["index_crc32"] = zlib.crc32(content)
    (folder / "shards.json").write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_without_two, ["train-00001-of-00005.tfrecord", "1 more", "10"]),
        (_truncated, ["eval-00002-of-00005.tfrecord", "instead of"]),
        (_other_index, ["train.index"]),
        (_without_description, ["shards.json", "jaxbio data shard"]),
        (_with_a_wrong_place, ["train.index", "example 0"]),
        (_described(jaxbio_shards=2), ["format 2"]),
        (_described(class_names=["a"]), ["train.index"]),
        (_described(class_names="abc"), ["shards.json"]),
        (_described(splits={}), ["shards.json"]),
        (_described(splits={"train": {"examples": 1e300}}), ["shards.json"]),
    ],
)
def test_bad_sets_are_one_line_before_anything_is_read(sharded, tmp_path, damage, words):
    folder = copied(sharded, tmp_path)
    damage(folder)
    with pytest.raises(InputError) as caught:
        open_source(settings(folder))
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_wrong_record_is_named_or_skipped(sharded, tmp_path):
    folder = copied(sharded, tmp_path)
    path = folder / "eval-00002-of-00005.tfrecord"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    cfg = settings(folder)
    with pytest.raises(DataError, match=r"eval-00002-of-00005.tfrecord\[1\]") as caught:
        list(eval_batches(open_source(cfg), cfg, global_batch_size=5))
    assert "written" in str(caught.value)
    assert "\n" not in str(caught.value)
    cfg = settings(folder, max_bad_files=1)
    source = open_source(cfg)
    batches = list(eval_batches(source, cfg, global_batch_size=5))
    assert sum(int(batch["mask"].sum()) for batch in batches) == 14
    assert len(source.bad_files) == 1


def test_nothing_is_written_over(sharded, tmp_path):
    source = open_source(settings(sharded))
    (tmp_path / "other").write_text("x")
    for folder, shards in ((tmp_path, 2), (tmp_path / "new", 0), (tmp_path / "other", 2)):
        with pytest.raises(InputError):
            write_shards(source, folder, shards)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]

import logging

import numpy as np
import pytest

from jaxbio.data import DataError, eval_batches, open_source, order, train_batches

from .conftest import config, write_folder

BAD_TRAIN = ("train/cat/001.JPEG", "train/emu/003.png")
BAD_EVAL = ("val/cat/000.JPEG", "val/dog/002.JPEG", "val/emu/004.JPEG")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """A folder source's data with two bad training and three bad evaluation images."""
    root = write_folder(tmp_path_factory.mktemp("damaged"))
    for name in BAD_TRAIN + BAD_EVAL:
        path = root / name
        path.write_bytes(path.read_bytes()[:-30])
    (root / BAD_EVAL[1]).write_bytes(b"")
    return root


def settings(root, **keys):
    common = {"source": "folder", "data_dir": str(root), "image_size": 16, "max_bad_files": 9}
    return config(**{**common, **keys})


def paths(root, names):
    return {str(root / name) for name in names}


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_training_stops_at_the_first(damaged, augmentation):
    cfg = settings(damaged, max_bad_files=0, augmentation=augmentation)
    source = open_source(cfg)
    with pytest.raises(DataError, match=r"data\.max_bad_files=0") as caught:
        list(train_batches(source, cfg, global_batch_size=6, seed=0, num_steps=4))
    assert any(path in str(caught.value) for path in paths(damaged, BAD_TRAIN))
    assert "\n" not in str(caught.value)


def test_evaluation_stops_at_the_first(damaged):
    cfg = settings(damaged, max_bad_files=0)
    with pytest.raises(DataError, match=r"data\.max_bad_files=0") as caught:
        list(eval_batches(open_source(cfg), cfg, global_batch_size=6))
    assert str(damaged / BAD_EVAL[0]) in str(caught.value)


def test_one_too_many(damaged):
    cfg = settings(damaged, max_bad_files=2)
    source = open_source(cfg)
    with pytest.raises(DataError, match=r"data\.max_bad_files=2"):
        list(eval_batches(source, cfg, global_batch_size=6))
    assert len(source.bad_files) == 3


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_training_replaces_by_the_next_good_one(damaged, caplog, augmentation):
    cfg = settings(damaged, augmentation=augmentation)
    source = open_source(cfg)
    with caplog.at_level(logging.WARNING):
        steps = list(train_batches(source, cfg, global_batch_size=6, seed=0, num_steps=8))
    assert set(source.bad_files) == paths(damaged, BAD_TRAIN)
    assert len(caplog.records) == len(source.bad_files) == 2  # once each, in two epochs
    assert all(path in caplog.text for path in source.bad_files)
    bad = {source.train.paths.index(path) for path in source.bad_files}
    for step, batch in enumerate(steps):
        epoch, place = divmod(step, 4)
        full = order.epoch_order(24, 0, epoch).numpy().tolist()
        for row, index in enumerate(batch["index"]):
            position = 6 * place + row
            following = [i for i in full[position:] + full[:position] if i not in bad]
            assert index == following[0]
        np.testing.assert_array_equal(batch["label"], source.train.labels[batch["index"]])
        assert batch["image"].any(axis=(1, 2, 3)).all()


@pytest.mark.slow
def test_replacements_are_pure(damaged):
    cfg = settings(damaged, augmentation="crop_flip")
    common = {"global_batch_size": 12, "seed": 2}
    whole = list(train_batches(open_source(cfg), cfg, **common, num_steps=4))
    rest = train_batches(open_source(cfg), cfg, **common, start_step=1, num_steps=3)
    for batch, expected in zip(rest, whole[1:], strict=True):
        for name, values in batch.items():
            np.testing.assert_array_equal(values, expected[name])
    parts = [
        list(
            train_batches(
                open_source(cfg), cfg, **common, num_steps=4, process_index=i, process_count=2
            )
        )
        for i in range(2)
    ]
    for step, expected in enumerate(whole):
        for name, values in expected.items():
            joined = np.concatenate([part[step][name] for part in parts])
            np.testing.assert_array_equal(values, joined)


def test_good_rows_are_not_touched(damaged, image_folder):
    def steps(root):
        cfg = settings(root, augmentation="crop_flip")
        return list(train_batches(open_source(cfg), cfg, global_batch_size=6, seed=0, num_steps=4))

    replaced = 0
    for batch, expected in zip(steps(damaged), steps(image_folder), strict=True):
        same = batch["index"] == expected["index"]
        np.testing.assert_array_equal(batch["image"][same], expected["image"][same])
        replaced += (~same).sum()
    assert replaced == len(BAD_TRAIN)


def _as_they_are(images, indices):
    return images


@pytest.mark.parametrize(
    ("size", "transform"), [(6, None), (20, _as_they_are), (1, None), (1, _as_they_are)]
)
def test_evaluation_masks_out(damaged, image_folder, caplog, transform, size):
    cfg = settings(damaged)
    source, intact = open_source(cfg), open_source(settings(image_folder))
    with caplog.at_level(logging.WARNING):
        batches = list(eval_batches(source, cfg, global_batch_size=size, transform=transform))
    expected = list(eval_batches(intact, cfg, global_batch_size=size, transform=transform))
    assert len(batches) == len(expected)
    assert set(source.bad_files) == paths(damaged, BAD_EVAL)
    assert len(caplog.records) == 3
    bad = [source.eval.paths.index(path) for path in source.bad_files]
    for batch, whole in zip(batches, expected, strict=True):
        hit = np.isin(batch["index"], bad)
        np.testing.assert_array_equal(batch["index"], whole["index"])
        np.testing.assert_array_equal(batch["mask"], whole["mask"] & ~hit)
        np.testing.assert_array_equal(batch["label"][~hit], whole["label"][~hit])
        np.testing.assert_array_equal(batch["image"][~hit], whole["image"][~hit])
        assert not batch["image"][hit].any()
    assert sum(int(batch["mask"].sum()) for batch in batches) == 12


def test_a_vanished_data_set_is_an_error(tmp_path):
    write_folder(tmp_path, 4, 2)
    cfg = settings(tmp_path, max_bad_files=5)
    source = open_source(cfg)
    (tmp_path / "train").rename(tmp_path / "away")
    with pytest.raises(DataError, match=r"No such file.*data\.max_bad_files=5"):
        next(train_batches(source, cfg, global_batch_size=4, seed=0))
    cfg = settings(tmp_path, max_bad_files=1000)
    with pytest.raises(DataError, match="none of the 12 training examples"):
        next(train_batches(source, cfg, global_batch_size=4, seed=0))

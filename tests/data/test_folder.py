import logging
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxbio.data import DataError, eval_batches, open_source, steps_per_epoch, train_batches

from .conftest import config, encoded, picture, write_folder


def open_folder(root, **keys):
    return open_source(config(source="folder", data_dir=str(root), **keys))


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path, 2, 1)


def test_classes_and_files_are_sorted(image_folder):
    source = open_folder(image_folder)
    assert source.class_names == ["cat", "dog", "emu"]
    assert (source.num_train, source.num_eval) == (24, 15)
    assert source.train.paths == sorted(source.train.paths)
    np.testing.assert_array_equal(source.train.labels, np.repeat([0, 1, 2], 8))
    for path, label in zip(source.eval.paths, source.eval.labels, strict=True):
        assert os.path.basename(os.path.dirname(path)) == source.class_names[label]


def test_test_folder_serves_without_val(folder):
    (folder / "val").rename(folder / "test")
    assert open_folder(folder).num_eval == 3


def test_images_may_lie_deeper(folder):
    (folder / "train" / "dog").rename(folder / "images")
    (folder / "train" / "dog").mkdir()
    (folder / "images").rename(folder / "train" / "dog" / "images")
    assert open_folder(folder).num_train == 6


def test_other_files_are_ignored_with_a_warning(folder, caplog):
    (folder / "train" / "cat" / ".DS_Store").write_text("x")
    with caplog.at_level(logging.WARNING):
        open_folder(folder)
    assert not caplog.records
    (folder / "train" / "cat" / "notes.txt").write_text("x")
    with caplog.at_level(logging.WARNING):
        assert open_folder(folder).num_train == 6
    assert "notes.txt" in caplog.text


def test_fingerprint_follows_names_and_sizes(folder):
    before = open_folder(folder).describe()["fingerprint"]
    assert open_folder(folder).describe()["fingerprint"] == before
    (folder / "val" / "cat" / "000.JPEG").write_bytes(encoded(picture(99, 50, 50)))
    changed = open_folder(folder).describe()["fingerprint"]
    (folder / "val" / "cat" / "000.JPEG").rename(folder / "val" / "cat" / "001.JPEG")
    assert len({before, changed, open_folder(folder).describe()["fingerprint"]}) == 3


def remove_train(folder):
    shutil.rmtree(folder / "train")


def remove_val(folder):
    shutil.rmtree(folder / "val")


def remove_class(folder):
    shutil.rmtree(folder / "val" / "dog")


def add_class(folder):
    (folder / "val" / "fox").mkdir()


def empty_class(folder):
    shutil.rmtree(folder / "train" / "emu")
    (folder / "train" / "emu").mkdir()


def no_classes(folder):
    remove_train(folder)
    (folder / "train").mkdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (remove_val, "lacks val/"),
        (remove_class, "'dog'"),
        (add_class, "'fox'"),
        (empty_class, "emu has no images"),
        (no_classes, "no class folders"),
    ],
)
def test_unusable_folders(folder, damage, words):
    damage(folder)
    with pytest.raises(DataError, match=words) as caught:
        open_folder(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_evaluation_needs_no_training_set(folder):
    remove_train(folder)
    source = open_folder(folder)
    assert (source.num_train, source.num_eval) == (0, 3)
    with pytest.raises(DataError, match="no training examples"):
        steps_per_epoch(source, 1)
    there = open_folder(folder / "val")  # the class folders themselves
    assert there.eval.paths == source.eval.paths
    assert there.class_names == source.class_names


def test_names_that_collide_are_refused(folder):
    for split in ("train", "val"):
        shutil.copytree(folder / split / "dog", folder / split / "Dog")
    with pytest.raises(DataError, match=r"'Dog' and 'dog' collide"):
        open_folder(folder)


def test_cache_is_refused(folder):
    with pytest.raises(DataError, match=r"data\.cache=True"):
        open_folder(folder, cache=True)


def test_links_in_a_folder_are_bad_files_or_left_out(folder, caplog):
    (folder / "train" / "cat" / "gone.png").symlink_to("/nonexistent/x.png")
    (folder / "train" / "cat" / "loop").symlink_to(".")
    cfg = config(source="folder", data_dir=str(folder), image_size=16, max_bad_files=1)
    with caplog.at_level(logging.WARNING):
        source = open_source(cfg)
    assert "1 files" in caplog.text
    assert source.describe()["num_train"] == 7
    list(train_batches(source, cfg, global_batch_size=7, seed=0, num_steps=1))
    assert source.bad_files == [str(folder / "train" / "cat" / "gone.png")]


def test_pictures_that_only_pillow_reads(folder):
    pixels = np.full((20, 20, 4), 200, np.uint8)
    for name in ("a.tif", "b.webp", "c.avif", "d.bmp"):
        Image.fromarray(pixels).save(folder / "val" / "cat" / name)
    cfg = config(source="folder", data_dir=str(folder), image_size=16)
    source = open_source(cfg)
    batches = list(eval_batches(source, cfg, global_batch_size=source.num_eval))
    assert batches[0]["mask"].all()
    chosen = [p.endswith((".tif", ".webp", ".bmp")) for p in source.eval.paths]
    assert (batches[0]["image"][chosen] == 200).all()

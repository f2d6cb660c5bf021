import logging

import numpy as np
import pytest

from jaxbio.data import DataError, Source, open_source
from jaxbio.data.class_names import (
    check_distinct,
    imagenet_ids,
    match_classes,
    readable,
    with_classes_of,
)
from jaxbio.data.types import ArraySplit, RecordSplit

from .conftest import config

_IDS = imagenet_ids()


def source(names, labels=(0, 1)):
    split = ArraySplit(np.zeros((len(labels), 2, 2, 3), np.uint8), np.array(labels, np.int32))
    return Source("arrays", list(names), split, split, True, lambda: "")


def test_imagenet_has_its_thousand_classes_in_order():
    assert len(_IDS) == 1000
    assert list(_IDS) == sorted(_IDS)
    assert (_IDS[0], _IDS[281], _IDS[999]) == ("n01440764", "n02123045", "n15075141")
    assert (readable("n01440764"), readable("n02123045")) == ("tench", "tabby")
    assert readable("dog") == "dog"


def test_names_that_two_classes_share_are_told_apart():
    shown = [readable(name) for name in _IDS]
    assert len(set(shown)) == 1000
    assert readable("n02012849") == "crane (n02012849)"


def test_other_order_and_subset_are_matched_by_name():
    assert match_classes(["b", "a"], ["a", "b", "c"], "data") == [1, 0]
    assert match_classes(["c"], ["a", "b", "c"], "data") == [2]


def test_unknown_classes_are_refused_with_the_closest():
    with pytest.raises(DataError, match=r"'catt': did you mean 'cat'\?"):
        match_classes(["dog", "catt"], ["cat", "dog"], "data")
    with pytest.raises(DataError, match=r"'e0', 'e1', 'e2' and 7 more"):
        match_classes([f"e{i}" for i in range(10)], ["cat", "dog"], "data")


def test_imagenets_classes_may_be_called_by_id_words_or_number():
    wanted = [3, 999, 0]
    ids = [_IDS[number] for number in wanted]
    words = [readable(name) for name in ids]
    assert match_classes(ids, _IDS, "data") == wanted
    assert match_classes(words, _IDS, "data") == wanted
    assert match_classes([w.replace("_", " ").title() for w in words], _IDS, "data") == wanted
    assert match_classes(ids, [readable(name) for name in _IDS], "data") == wanted
    assert match_classes([str(i) for i in range(1000)], _IDS, "data") == list(range(1000))


def test_ten_digits_are_no_classes_of_imagenet():
    with pytest.raises(DataError, match="'0', '1', '2' and 7 more"):
        match_classes([str(i) for i in range(10)], _IDS, "data")


def test_one_class_under_two_names_is_refused():
    with pytest.raises(DataError, match="are one to the network"):
        match_classes(["tench", "n01440764"], _IDS, "data")


def test_labels_become_the_networks():
    found, present = with_classes_of(source(["b", "c"], [0, 1, 1]), ["a", "b", "c"], 3)
    assert found.class_names == ["a", "b", "c"]
    np.testing.assert_array_equal(found.eval.labels, [1, 2, 2])
    assert present == (1, 2)
    same, present = with_classes_of(source(["a", "b"]), ["a", "b"], 2)
    np.testing.assert_array_equal(same.eval.labels, [0, 1])
    assert present == (0, 1)


def test_records_are_relabelled_as_they_are_read():
    read = RecordSplit("records", 2, read=lambda index: (b"x", index))
    memory = RecordSplit("memory", 2, memory=(np.array([b"x", b"y"]), np.array([0, 1], np.int32)))
    made = Source("records", ["b", "a"], read, memory, False, lambda: "")
    found, _ = with_classes_of(made, ["a", "b"], 2)
    assert [found.train.read(i) for i in (0, 1)] == [(b"x", 1), (b"x", 0)]
    np.testing.assert_array_equal(found.eval.memory[1], [1, 0])


def test_without_names_the_numbers_have_to_do(caplog):
    with caplog.at_level(logging.INFO, "jaxbio.data"):
        found, present = with_classes_of(source(["x", "y"]), None, 2)
    assert "numbers are compared" in caplog.text
    assert (found.class_names, present) == (["x", "y"], (0, 1))
    with pytest.raises(DataError, match="3, without names"):
        with_classes_of(source(["x", "y"]), None, 3)


def test_a_thousand_other_classes_of_converted_weights_are_compared_by_number():
    names = [f"place {i:03}" for i in range(1000)]
    found, present = with_classes_of(source(names), list(_IDS), 1000)
    assert found.class_names == names
    assert len(present) == 1000


def test_colliding_names():
    check_distinct(["cat", "dog"], "here")
    with pytest.raises(DataError, match="collide"):
        check_distinct(["caf\u00e9", "cafe\u0301"], "here")


def test_split_is_stratified_seeded_and_recorded():
    plain = open_source(config(source="digits"))
    first, again, other = (
        open_source(config(source="digits", split=0.1, split_seed=seed)) for seed in (0, 0, 1)
    )
    count = np.bincount(plain.train.labels)
    np.testing.assert_array_equal(np.bincount(first.eval.labels), np.round(0.1 * count))
    assert first.num_train + first.num_eval == plain.num_train
    np.testing.assert_array_equal(first.eval.images, again.eval.images)
    assert not np.array_equal(first.eval.images, other.eval.images)
    assert len({s.describe()["fingerprint"] for s in (plain, first, other)}) == 3
    assert first.describe() == again.describe()
    pixels = {image.tobytes() for image in first.eval.images}
    assert len({image.tobytes() for image in first.train.images} & pixels) == 0


def test_split_of_files_needs_no_test_set(image_folder, tmp_path):
    (tmp_path / "train").symlink_to(image_folder / "train")
    with pytest.raises(DataError, match=r"data\.split"):
        open_source(config(source="folder", data_dir=str(tmp_path)))
    made = open_source(config(source="folder", data_dir=str(tmp_path), split=0.25))
    assert (made.num_train, made.num_eval) == (18, 6)
    assert not set(made.train.paths) & set(made.eval.paths)
    np.testing.assert_array_equal(made.eval.labels, [0, 0, 1, 1, 2, 2])


def test_split_that_leaves_nothing_is_refused(image_folder):
    with pytest.raises(DataError, match="leaves none of the 8"):
        open_source(config(source="folder", data_dir=str(image_folder), split=0.99))
    with pytest.raises(DataError, match="no training examples"):
        open_source(config(source="folder", data_dir=str(image_folder / "val"), split=0.5))

"""Some classes of a data set."""

import numpy as np
import pytest

from jaxbio.data import open_source, train_batches
from jaxbio.data.class_names import imagenet_ids, readable
from jaxbio.data.subset import _names, only_classes
from jaxbio.data.types import FileSplit, Source
from jaxbio.errors import InputError

from .conftest import config


def _listed(tmp_path, *names):
    file = tmp_path / "some.txt"
    file.write_text("\n".join(names))
    return str(file)


def test_the_examples_of_these_classes_alone(tmp_path):
    whole = open_source(config(source="digits"))
    part = open_source(config(source="digits", classes=_listed(tmp_path, "7", "", "2 ", "5")))
    assert part.class_names == ["2", "5", "7"]  # in the order of the data
    for before, after in ((whole.train, part.train), (whole.eval, part.eval)):
        chosen = np.isin(before.labels, [2, 5, 7])
        np.testing.assert_array_equal(after.images, before.images[chosen])
        names = np.array(part.class_names)[after.labels]
        np.testing.assert_array_equal(names.astype(int), before.labels[chosen])
    assert part.fingerprint() != whole.fingerprint()


def test_files_and_a_held_out_part(image_folder, tmp_path):
    whole = open_source(config(source="folder", data_dir=str(image_folder)))
    keys = {"classes": _listed(tmp_path, *whole.class_names[1:]), "image_size": 16}
    cfg = config(source="folder", data_dir=str(image_folder), split=0.25, **keys)
    part = open_source(cfg)
    assert part.num_classes == whole.num_classes - 1
    rest = (whole.train.labels > 0).sum()
    assert part.num_train + part.num_eval == rest
    batch = next(iter(train_batches(part, cfg, global_batch_size=4, seed=0, num_steps=1)))
    assert batch["label"].max() < part.num_classes


def test_data_for_evaluation_may_have_fewer(image_folder, tmp_path):
    whole = open_source(config(source="folder", data_dir=str(image_folder / "val")))
    assert whole.num_train == 0
    some = _listed(tmp_path, whole.class_names[0], "zebra")
    part = open_source(config(source="folder", data_dir=str(image_folder / "val"), classes=some))
    assert part.class_names == whole.class_names[:1]
    with pytest.raises(InputError, match="'zebra'"):
        open_source(config(source="folder", data_dir=str(image_folder), classes=some))


def test_imagenet100_by_id_and_by_words():
    listed = _names("imagenet100")
    assert len(set(listed)) == 100
    assert set(listed) <= set(imagenet_ids())
    for names in (list(imagenet_ids()), [readable(wnid) for wnid in imagenet_ids()]):
        split = FileSplit([f"{i}.jpg" for i in range(1000)], np.arange(1000, dtype=np.int32))
        source = Source("folder", names, split, split, False, lambda: "x")
        part = only_classes(source, "imagenet100")
        assert part.num_classes == part.num_train == 100
        numbers = [int(path[:-4]) for path in part.train.paths]
        assert [imagenet_ids()[n] for n in numbers] == sorted(listed)


@pytest.mark.parametrize(
    ("names", "words"), [(["2", "eleven"], "'eleven'"), ([], "no class"), (None, "imagenet100")]
)
def test_bad_lists(tmp_path, names, words):
    which = str(tmp_path / "none.txt") if names is None else _listed(tmp_path, *names)
    with pytest.raises(InputError, match=words):
        open_source(config(source="digits", classes=which))

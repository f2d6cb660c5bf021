import numpy as np
import pytest

from jaxbio.data import DataError, eval_batches, open_source, train_batches

from .conftest import config, encoded, picture

tfds = pytest.importorskip(
    "tensorflow_datasets", reason="tensorflow_datasets is not installed (the extra 'tfds')"
)

COUNTS = {"train": 11, "validation": 5}


def pixels(split, index, side):
    seed = 100 * list(COUNTS).index(split) + index
    size = (side, side) if side else (30 + seed % 7, 40)
    return picture(seed, *size)


def prepare(root, file_format, side=None, features=None, splits=COUNTS, broken=()):
    """Writes a labelled image set ``tiny_pictures`` in tfds's layout."""
    features = features or tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(side, side, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(names=["cat", "dog", "emu"]),
        }
    )

    def examples(split):
        for i in range(splits[split]):
            content = encoded(pixels(split, i, side))
            if (split, i) in broken:
                content = content[:-30]
            yield i, {"image": content, "label": i % 3}

    class TinyPictures(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        url_infos = {}  # noqa: RUF012 (tfds would look for a checksums file beside this one)

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=features, supervised_keys=("image", "label")
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in splits}

        def _generate_examples(self, split):
            yield from examples(split)

    builder = TinyPictures(data_dir=str(root), file_format=file_format)
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def prepared(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    prepare(root, request.param)
    return root, request.param


def settings(root, **keys):
    common = {"source": "tfds:tiny_pictures", "data_dir": str(root), "image_size": 16}
    return config(**{**common, **keys})


def test_description(prepared):
    root, _ = prepared
    source = open_source(settings(root))
    assert (source.num_train, source.num_eval) == (11, 5)
    assert source.class_names == ["cat", "dog", "emu"]
    assert source.describe()["name"] == "tfds:tiny_pictures"
    assert source.describe() == open_source(settings(root)).describe()


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["auto", True, False])
def test_batches(prepared, cache):
    root, file_format = prepared
    cfg = settings(root, cache=cache, augmentation="crop_flip")
    if cache is False and file_format == "tfrecord":
        with pytest.raises(DataError, match=r"array_record.*data\.cache=True"):
            open_source(cfg)
        return
    source = open_source(cfg)
    steps = list(train_batches(source, cfg, global_batch_size=4, seed=0, num_steps=4))
    later = list(train_batches(source, cfg, global_batch_size=4, seed=0, start_step=2, num_steps=2))
    for batch, expected in zip(later, steps[2:], strict=True):
        for name, values in batch.items():
            np.testing.assert_array_equal(values, expected[name])
    evaluated = list(eval_batches(source, cfg, global_batch_size=4))
    index = np.concatenate([b["index"][b["mask"]] for b in evaluated])
    np.testing.assert_array_equal(index, range(5))


def test_images_and_labels_belong_together(prepared):
    root, _ = prepared
    seen = {}

    def transform(images, indices):
        seen.update(zip(indices, images, strict=True))
        return images

    for cache in (True, "auto"):
        cfg = settings(root, cache=cache)
        source = open_source(cfg)
        (batch,) = eval_batches(source, cfg, global_batch_size=5, transform=transform)
        stored = {i: pixels("validation", i, None) for i in range(5)}
        for index, label in zip(batch["index"], batch["label"], strict=True):
            # tfds shuffles when it prepares: the label tells which images it may be.
            near = [
                i
                for i, image in stored.items()
                if image.shape == seen[index].shape
                and np.abs(image.astype(int) - seen[index]).mean() < 20
            ]
            assert [i % 3 for i in near] == [label]


def test_a_fixed_size_is_not_cropped(tmp_path):
    prepare(tmp_path, "tfrecord", side=16)
    cfg = settings(tmp_path)
    whole = {}
    (plain,) = eval_batches(open_source(cfg), cfg, global_batch_size=5)
    (_,) = eval_batches(
        open_source(cfg),
        cfg,
        global_batch_size=5,
        transform=lambda images, indices: whole.update(zip(indices, images, strict=True)) or images,
    )
    for image, index in zip(plain["image"], plain["index"], strict=True):
        np.testing.assert_array_equal(image, whole[index])


def test_a_broken_record_is_named(tmp_path):
    prepare(tmp_path, "array_record", broken={("validation", 2)})
    cfg = settings(tmp_path, cache=False)
    with pytest.raises(DataError, match=r"tfds:tiny_pictures/validation\[\d\] does not decode"):
        list(eval_batches(open_source(cfg), cfg, global_batch_size=5))
    cfg = settings(tmp_path, max_bad_files=1)
    (batch,) = eval_batches(open_source(cfg), cfg, global_batch_size=5)
    assert batch["mask"].sum() == 4


def test_unprepared_sets_are_errors(tmp_path):
    for name in ("mnist", "no_such_set"):
        with pytest.raises(DataError, match=f"tfds build {name}") as caught:
            open_source(config(source=f"tfds:{name}", data_dir=str(tmp_path)))
        assert "\n" not in str(caught.value)


def test_sets_without_labels_are_errors(tmp_path):
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3)),
            "label": tfds.features.Scalar(np.int64),
        }
    )
    prepare(tmp_path, "tfrecord", features=features)
    with pytest.raises(DataError, match="class label"):
        open_source(settings(tmp_path))


def test_sets_without_test_split_are_errors(tmp_path):
    prepare(tmp_path, "tfrecord", splits={"train": 3})
    with pytest.raises(DataError, match="validation or test"):
        open_source(settings(tmp_path))

"""Sources from TensorFlow Datasets that are prepared on disk."""

import hashlib
from typing import Any

import numpy as np

from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import RecordSplit, Source

_MEMORY_LIMIT = 2 * 2**30  # bytes of encoded images that cache="auto" keeps in memory


def open_tfds(settings: Settings, name: str = "") -> Source:
    """Opens a prepared data set: its train split, and validation or else test for evaluation.

    Images stay encoded. A set prepared in the array_record format is read at random from disk, or
    from memory if ``data.cache`` is True; any other one is read into memory once, if it is small
    (2 GiB) or ``data.cache`` is True, and not if that is False.

    Args:
        settings: ``data_dir`` (default: that of tfds), ``cache``.
        name: ``name``, ``name/config`` or ``name/config:version``, as in tfds; by default what
            ``source`` names.

    Raises:
        DataError: tensorflow_datasets is missing, the set is unknown, not prepared, not a labelled
            image set, or too large for memory in its format.
    """
    import jaxbio.data.tensorflow_cpu  # noqa: F401 (first: it makes tensorflow quiet)

    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise DataError(
            f"data.source='tfds:{name}' needs tensorflow_datasets: pip install 'jaxbio[tfds]'"
        ) from error

    name = name or settings.source.removeprefix("tfds:")
    prepare = f"prepare it with `tfds build {name} --file_format=array_record"
    prepare += f" --data_dir={settings.data_dir}`" if settings.data_dir else "`"
    try:
        builder = tfds.builder(name, data_dir=settings.data_dir, try_gcs=False)
    except (tfds.core.DatasetNotFoundError, ValueError, AttributeError) as error:
        reason = (str(error).splitlines() or ["unknown"])[0]
        raise DataError(f"data.source='tfds:{name}' does not open ({reason}): {prepare}") from error
    splits = builder.info.splits
    if not splits:
        raise DataError(f"data.source='tfds:{name}' is not in {builder.data_path}: {prepare}")
    eval_split = next((s for s in ("validation", "test") if s in splits), None)
    if "train" not in splits or eval_split is None:
        raise DataError(
            f"data.source='tfds:{name}' has splits {', '.join(sorted(splits))}: it needs train, "
            "and validation or test"
        )
    for split in ("train", eval_split):
        if not splits[split].num_examples:
            raise DataError(f"data.source='tfds:{name}' has no {split} examples: {prepare}")
    image_key, label_key = _feature_keys(tfds, builder, name)
    shape = builder.info.features[image_key].shape
    return Source(
        name=settings.source,
        class_names=list(builder.info.features[label_key].names),
        train=_open_split(tfds, builder, "train", image_key, label_key, settings),
        eval=_open_split(tfds, builder, eval_split, image_key, label_key, settings),
        one_size=shape[0] is not None and shape[0] == shape[1],
        fingerprint=lambda: _fingerprint(builder.info),
    )


def _feature_keys(tfds: Any, builder: Any, name: str) -> tuple[str, str]:
    features = builder.info.features
    keys = builder.info.supervised_keys or ("image", "label")
    good = (
        len(keys) == 2
        and all(key in features for key in keys)
        and isinstance(features[keys[0]], tfds.features.Image)
        and isinstance(features[keys[1]], tfds.features.ClassLabel)
    )
    if not good:
        raise DataError(
            f"data.source='tfds:{name}' has features {', '.join(features)}: it needs an image and "
            "a class label"
        )
    return keys


def _open_split(
    tfds: Any, builder: Any, split: str, image_key: str, label_key: str, settings: Settings
) -> RecordSplit:
    info = builder.info.splits[split]
    size, title = info.num_examples, f"{settings.source}/{split}"
    decoders = {image_key: tfds.decode.SkipDecoding()}

    formats = tfds.core.file_adapters.FileFormat.with_random_access()
    if builder.info.file_format in formats:
        records = builder.as_data_source(split, decoders=decoders)

        def read(index: int) -> tuple[bytes, int]:
            record = records[index]
            return record[image_key], int(record[label_key])

        if settings.cache is not True:
            return RecordSplit(title, size, read=read)
        images, labels = zip(*map(read, range(size)), strict=True)
        return RecordSplit(
            title, size, memory=(np.array(images, object), np.array(labels, np.int32))
        )

    small = info.num_bytes <= _MEMORY_LIMIT
    if settings.cache is False or (settings.cache == "auto" and not small):
        raise DataError(
            f"{title} ({info.num_bytes / 2**30:.1f} GiB, {builder.info.file_format.value}) cannot "
            "be read at random: prepare it with `tfds build --file_format=array_record`, or set "
            "data.cache=True to keep it in memory"
        )
    dataset = builder.as_dataset(
        split=split,
        decoders=decoders,
        # One file after the other: the order is that of the files.
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    )
    batches = list(dataset.batch(1024).as_numpy_iterator())
    whole = {key: np.concatenate([b[key] for b in batches]) for key in (image_key, label_key)}
    memory = whole[image_key], whole[label_key].astype(np.int32)
    return RecordSplit(title, size, memory=memory)


def _fingerprint(info: Any) -> str:
    digest = hashlib.sha256(info.full_name.encode())
    for name in sorted(info.splits):
        split = info.splits[name]
        digest.update(f"{name}:{split.num_bytes}:{split.shard_lengths}".encode())
    return digest.hexdigest()[:16]

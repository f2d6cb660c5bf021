"""Writes a data set as shards; :mod:`jaxbio.data.shards` says what they are."""

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from jaxbio.data.shards import DESCRIPTION, ENTRY, VERSION, shard_name
from jaxbio.data.splits import encoded, labels_of
from jaxbio.data.types import ArraySplit, Source, Split
from jaxbio.errors import InputError, WriteError
from jaxbio.files import atomic, write_json
from jaxbio.files.reading import reason

_HEADER, _FOOTER = 12, 4  # bytes of TFRecord around a record: its length, and checksums


def write_shards(
    source: Source,
    folder: Path,
    shards: int,
    progress: Callable[[str, int], None] = lambda name, bytes_written: None,
) -> None:
    """Writes both splits of a source; pictures stay encoded as they are, arrays become PNG.

    A record is a ``tf.train.Example`` with ``image/encoded``, ``image/class/label`` and
    ``image/filename``, so that other programs read the shards too. Neighbours of the source come
    into different shards. ``shards.json`` is written last.

    Args:
        source: from :func:`jaxbio.data.open_source`.
        folder: new or empty.
        shards: of each split; as many as it has examples, if these are fewer.
        progress: is told each shard's name and bytes when it is written.

    Raises:
        InputError: the folder holds something, or an example cannot be read.
        WriteError: the disk does not take it.
    """
    if shards < 1 or shards > 99_999:
        raise InputError(f"--shards={shards}: use 1 to 99999")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not empty: give another folder, or remove it")
    about = {}
    for name, split in (("train", source.train), ("eval", source.eval)):
        count = min(shards, len(split))
        entries = np.zeros(len(split), ENTRY)
        entries["label"] = labels_of(split)
        sizes = []
        for number in range(count):
            path = folder / shard_name(name, number, count)
            _write_shard(path, split, range(number, len(split), count), entries)
            sizes.append(path.stat().st_size)
            progress(path.name, sizes[-1])
        content = entries.tobytes()
        with atomic(folder / f"{name}.index") as temporary:
            temporary.write_bytes(content)
        about[name] = {
            "examples": len(split),
            "index_crc32": zlib.crc32(content),
            "bytes": sizes,
        }
    described = {
        "jaxbio_shards": VERSION,
        "class_names": source.class_names,
        "one_size": source.one_size,
        "splits": about,
    }
    write_json(folder / DESCRIPTION, described)


def _write_shard(path: Path, split: Split, numbers: range, entries: np.ndarray) -> None:
    """Writes the examples ``numbers`` and notes where they lie."""
    from jaxbio.data.tensorflow_cpu import tf

    at = 0
    try:
        with atomic(path) as temporary, tf.io.TFRecordWriter(str(temporary)) as writer:
            for i in numbers:
                content = (
                    _png(split.images[i]) if isinstance(split, ArraySplit) else encoded(split, i)
                )
                values = {
                    "image/encoded": _bytes(content),
                    "image/class/label": tf.train.Feature(
                        int64_list=tf.train.Int64List(value=[int(entries["label"][i])])
                    ),
                    "image/filename": _bytes(os.fsencode(os.path.basename(split.example_name(i)))),
                }
                example = tf.train.Example(features=tf.train.Features(feature=values))
                record = example.SerializeToString(deterministic=True)
                writer.write(record)
                entries["offset"][i] = at + _HEADER + record.index(content)
                entries["size"][i], entries["crc32"][i] = len(content), zlib.crc32(content)
                at += _HEADER + len(record) + _FOOTER
    except tf.errors.OpError as error:
        raise WriteError.of(path, OSError(reason(error))) from error


def _bytes(value: bytes) -> "tf.train.Feature":  # type: ignore[name-defined]  # noqa: F821
    from jaxbio.data.tensorflow_cpu import tf

    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()

"""A data set as shards: few large files for many processes, on a disk or in a bucket.

A folder has TFRecord files of encoded pictures, ``train-00003-of-00064.tfrecord``, beside
``train.index``, which says where each picture lies, and ``shards.json``, which has the classes and
the sizes of all files. Example i of a split is record ``i // S`` of shard ``i % S``, so that every
picture can be read by itself: order, share of a process and resuming are those of all other
sources.
"""

import concurrent.futures
import hashlib
import json
import os
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxbio.data.class_names import check_distinct
from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import RecordSplit, Source, existing_data_dir
from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular, reason
from jaxbio.files.sizes import check_size

DESCRIPTION, VERSION = "shards.json", 1
# An entry of an index: where a picture's bytes lie in its shard, its class, their checksum.
ENTRY = np.dtype([("offset", "<u8"), ("size", "<u4"), ("label", "<i4"), ("crc32", "<u4")])

_MOST_BYTES = 2**26  # of a description
_STATS_AT_A_TIME = 16  # a bucket answers after tens of milliseconds


def shard_name(split: str, number: int, count: int) -> str:
    """Of the file, as TFRecord's tools have it."""
    return f"{split}-{number:05d}-of-{count:05d}.tfrecord"


def is_sharded(place: str) -> bool:
    """Whether a path is a folder of shards; every address of a bucket is taken for one."""
    return "://" in place or os.path.isfile(os.path.join(place, DESCRIPTION))


def open_shards(settings: Settings) -> Source:
    """Opens what :func:`jaxbio.data.shard_writer.write_shards` wrote.

    Every shard's size is looked at, none is read.

    Args:
        settings: ``data_dir``: a folder, or an address that ``tf.io.gfile`` knows (``gs://...``).

    Raises:
        DataError: files are missing, truncated, damaged or of another writing.
    """
    if settings.cache is True:
        raise DataError("data.cache=True: the system's file cache serves shards; use auto or False")
    remote = settings.data_dir is not None and "://" in settings.data_dir
    folder: _Folder = (
        _Bucket(str(settings.data_dir)) if remote else _Disk(existing_data_dir(settings))
    )
    where = f"{folder.place}/{DESCRIPTION}"
    size = folder.size(DESCRIPTION)
    if size is None:
        raise DataError(
            f"{where} does not exist: `jaxbio data shard SOURCE {folder.place}` writes it last, so "
            "a folder without it is incomplete"
        )
    check_size(where, "its content", size, _MOST_BYTES)
    try:
        about = json.loads(folder.read(DESCRIPTION, 0, size))
        version, names, one_size = (
            about[key] for key in ("jaxbio_shards", "class_names", "one_size")
        )
        splits = {name: _Layout(name, about["splits"][name]) for name in ("train", "eval")}
        if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
            raise ValueError("class_names are no list of names")
        if not isinstance(one_size, bool) or not names:
            raise ValueError("one_size or class_names are missing")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{where} is damaged ({reason(error)}): copy it again") from None
    if version != VERSION:
        raise DataError(f"{where} is of format {version!r}, this jaxbio reads {VERSION}: update it")
    check_distinct(names, where)
    _check_files(folder, list(splits.values()))
    indices = {name: layout.index(folder, len(names)) for name, layout in splits.items()}
    return Source(
        name=settings.source,
        class_names=names,
        train=_split(folder, splits["train"], indices["train"]),
        eval=_split(folder, splits["eval"], indices["eval"]),
        one_size=one_size,
        fingerprint=lambda: _fingerprint(names, list(indices.values())),
    )


class _Layout:
    """A split's files, as the description has them."""

    def __init__(self, name: str, about: dict[str, Any]):
        examples, crc32, sizes = (about[key] for key in ("examples", "index_crc32", "bytes"))
        if not all(type(x) is int and 0 <= x < 2**62 for x in (examples, crc32, *sizes)):
            raise ValueError(f"{name} has numbers that are none")
        if len(sizes) > examples or (examples and not sizes):
            raise ValueError(f"{name} has {len(sizes)} shards for {examples} examples")
        self.name, self.examples, self.crc32, self.sizes = name, examples, crc32, sizes
        self.files = [shard_name(name, i, len(sizes)) for i in range(len(sizes))]

    def index(self, folder: "_Folder", num_classes: int) -> np.ndarray:
        """``ENTRY`` of every example, each within its shard."""
        file, wanted = f"{self.name}.index", self.examples * ENTRY.itemsize
        where = f"{folder.place}/{file}"
        check_size(where, "its content", wanted)
        content = folder.read(file, 0, wanted)
        if len(content) != wanted or zlib.crc32(content) != self.crc32:
            raise DataError(
                f"{where} is damaged, or of another writing than {DESCRIPTION}: copy it again"
            )
        entries = np.frombuffer(content, ENTRY)
        if len(entries):
            ends = np.array(self.sizes, np.uint64)[np.arange(len(entries)) % len(self.sizes)]
            outside = (entries["size"] > ends) | (entries["offset"] > ends - entries["size"])
            unknown = (entries["label"] < 0) | (entries["label"] >= num_classes)
            if outside.any() or unknown.any():
                raise DataError(
                    f"{where} is damaged: example {np.argmax(outside | unknown)} lies outside of "
                    "its shard, or has a class that there is not"
                )
        return entries


class _Disk:
    def __init__(self, place: str):
        self.place = place

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        path = os.path.join(self.place, name)
        if not os.path.lexists(path):
            return None
        check_regular(path)
        return os.path.getsize(path)

    def read(self, name: str, offset: int, size: int) -> bytes:
        """A part of a file; fewer bytes where it ends; from any thread."""
        try:
            with open(os.path.join(self.place, name), "rb", buffering=0) as file:
                return os.pread(file.fileno(), size, offset)
        except OSError as error:
            raise InputError(f"{self.place}/{name} cannot be read ({reason(error)})") from error


class _Bucket:
    """What ``tf.io.gfile`` reaches: ``gs://``, and what plugins of tensorflow add."""

    def __init__(self, place: str):
        # Else the file system reads a block of many MiB around each picture. Before the import.
        os.environ.setdefault("GCS_READ_CACHE_DISABLED", "1")
        from jaxbio.data.tensorflow_cpu import tf

        self.place, self._tf = place.rstrip("/"), tf

    def size(self, name: str) -> int | None:
        try:
            return int(self._tf.io.gfile.stat(f"{self.place}/{name}").length)
        except self._tf.errors.NotFoundError:
            return None
        except self._tf.errors.OpError as error:
            raise self._failed(name, error) from error

    def read(self, name: str, offset: int, size: int) -> bytes:
        try:
            with self._tf.io.gfile.GFile(f"{self.place}/{name}", "rb") as file:
                file.seek(offset)
                return file.read(size)
        except self._tf.errors.OpError as error:
            raise self._failed(name, error) from error

    def _failed(self, name: str, error: Exception) -> DataError:
        text = reason(error)
        remedy = "check the address and your permission"
        if isinstance(error, self._tf.errors.UnimplementedError):
            remedy = "tensorflow needs a plugin for such addresses; or mount it as a folder"
        return DataError(f"{self.place}/{name} cannot be read ({text}): {remedy}")


_Folder = _Disk | _Bucket


def _check_files(folder: _Folder, layouts: Sequence[_Layout]) -> None:
    """All shards are there, and as long as they were written."""
    wanted: dict[str, int] = {}
    for layout in layouts:
        wanted.update(zip(layout.files, layout.sizes, strict=True))
    with concurrent.futures.ThreadPoolExecutor(_STATS_AT_A_TIME) as pool:
        found = dict(zip(wanted, pool.map(folder.size, wanted), strict=True))
    missing = [file for file, size in found.items() if size is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(
            f"{folder.place} lacks {missing[0]}{more}, of {len(wanted)} shards: copy all of them"
        )
    wrong = [file for file in wanted if found[file] != wanted[file]]
    if wrong:
        raise DataError(
            f"{folder.place}/{wrong[0]} has {found[wrong[0]]} bytes instead of {wanted[wrong[0]]}: "
            "it is truncated, or of another writing; copy it again"
        )


class _Names(Sequence[str]):
    """What messages call the examples; a list of a million names would take 0.1 GB."""

    def __init__(self, place: str, layout: _Layout):
        self._place, self._layout = place, layout

    def __len__(self) -> int:
        return self._layout.examples

    def __getitem__(self, index: Any) -> Any:
        record, shard = divmod(int(index), len(self._layout.files))
        return f"{self._place}/{self._layout.files[shard]}[{record}]"


def _split(folder: _Folder, layout: _Layout, entries: np.ndarray) -> RecordSplit:
    labels = entries["label"].astype(np.int32)
    count = len(layout.files)

    def read(index: int) -> tuple[bytes, int]:
        entry = entries[index]
        content = folder.read(layout.files[index % count], int(entry["offset"]), int(entry["size"]))
        if zlib.crc32(content) != entry["crc32"]:
            raise InputError("its bytes are not those that were written: copy the shard again")
        return content, int(labels[index])

    return RecordSplit(
        name=f"{folder.place}/{layout.name}",
        size=layout.examples,
        read=read,
        names=_Names(folder.place, layout),
        labels=labels,
    )


def _fingerprint(names: list[str], indices: Sequence[np.ndarray]) -> str:
    """Of the content: how many shards it is cut into makes no difference."""
    digest = hashlib.sha256(json.dumps(names).encode())
    for entries in indices:
        for field in ("size", "label", "crc32"):
            digest.update(entries[field].tobytes())
    return digest.hexdigest()[:16]

"""Parts of a split, and a split with other labels."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxbio.data.types import ArraySplit, EncodedSplit, FileSplit, RecordSplit, Split
from jaxbio.files.pictures import open_picture
from jaxbio.files.reading import check_regular, reading


def taken(split: Split, index: np.ndarray) -> Split:
    """The examples ``index`` of a split, in that order; nothing is read."""
    if isinstance(split, ArraySplit):
        return ArraySplit(split.images[index], split.labels[index])
    if isinstance(split, FileSplit):
        return FileSplit([split.paths[i] for i in index], split.labels[index])
    read, memory, numbers = split.read, split.memory, index.tolist()
    return RecordSplit(
        name=split.name,
        size=len(numbers),
        read=None if read is None else lambda i: read(numbers[i]),
        memory=None if memory is None else (memory[0][index], memory[1][index]),
        names=None if split.names is None else [split.names[i] for i in numbers],
        labels=None if split.labels is None else split.labels[index],
    )


def relabelled(split: Split, numbers: Sequence[int]) -> Split:
    """The split with label ``numbers[i]`` where it has ``i``; nothing is read."""
    table = np.array(numbers, np.int32)
    if isinstance(split, ArraySplit | FileSplit):
        return dataclasses.replace(split, labels=table[split.labels])
    read, memory = split.read, split.memory

    def read_relabelled(index: int) -> tuple[bytes, int]:
        image, label = read(index)  # type: ignore[misc]
        return image, int(table[label])

    return dataclasses.replace(
        split,
        read=None if read is None else read_relabelled,
        memory=None if memory is None else (memory[0], table[memory[1]]),
        labels=None if split.labels is None else table[split.labels],
    )


def picture(split: Split, index: int) -> np.ndarray:
    """An example as it is in the data, uint8 ``[H, W, 3]`` or ``[H, W, 1]``.

    Raises:
        InputError: it does not decode.
    """
    if isinstance(split, ArraySplit):
        return split.images[index]
    content: str | bytes = (
        split.paths[index] if isinstance(split, FileSplit) else encoded(split, index)
    )
    decoded = open_picture(content, upright=False, name=split.example_name(index))
    return np.asarray(decoded.convert("RGB"))


def encoded(split: EncodedSplit, index: int) -> bytes:
    """An example's encoded picture.

    Raises:
        InputError: it cannot be read.
    """
    if isinstance(split, FileSplit):
        with reading(split.paths[index], "a picture"):
            check_regular(split.paths[index])
            return Path(split.paths[index]).read_bytes()
    if split.memory is not None:
        return split.memory[0][index]
    return split.read(index)[0]  # type: ignore[misc]


def labels_of(split: Split) -> np.ndarray:
    """Int32 ``[N]``; reads all records where labels are in the records alone."""
    if not isinstance(split, RecordSplit):
        return split.labels
    if split.labels is not None:
        return split.labels
    if split.memory is not None:
        return split.memory[1]
    return np.array([split.read(i)[1] for i in range(split.size)], np.int32)  # type: ignore[misc]

"""Pictures in a tar archive: ``train/<class>/*`` and ``val/<class>/*`` (or ``test/``) in it."""

import hashlib
import os

import numpy as np

from jaxbio.data.class_names import check_distinct
from jaxbio.data.settings import DataError
from jaxbio.data.types import RecordSplit, Source
from jaxbio.files.pictures import SUFFIXES
from jaxbio.files.tars import Tar

_SPLITS = {"train": "train", "val": "eval", "test": "eval"}


def open_archive(tar: Tar, name: str = "folder") -> Source:
    """Opens a tar of pictures in the layout of folders, which may lie deeper in it.

    Nothing is unpacked. An archive of class folders alone is a test set.

    Raises:
        DataError: no such layout, or classes that collide or differ between the splits.
    """
    found: dict[str, list[tuple[str, str, int]]] = {"train": [], "eval": []}
    pictures = [i for i, file in enumerate(tar.names) if file.lower().endswith(SUFFIXES)]
    layout = [_place(tar.names[i].split("/")) for i in pictures]
    if not any(layout):
        layout = _class_folders([tar.names[i].split("/") for i in pictures])
    has_val = any(place and place[0] == "val" for place in layout)
    for i, place in zip(pictures, layout, strict=True):
        if place and not (has_val and place[0] == "test"):
            found[_SPLITS[place[0]]].append((place[1], tar.names[i], i))
    if not any(found.values()):
        raise DataError(
            f"{tar.path} has no pictures ({' '.join(SUFFIXES)}) in train/<class>/ and val/<class>/"
        )
    classes = {split: {file[0] for file in files} for split, files in found.items()}
    different = sorted(classes["train"] ^ classes["eval"])
    if different and classes["train"] and classes["eval"]:
        raise DataError(
            f"{tar.path}: train/ and val/ differ in {len(different)} classes, first "
            f"{different[0]!r}: give both the same"
        )
    names = sorted(classes["train"] | classes["eval"])
    check_distinct(names, str(tar.path))
    digest = hashlib.sha256()
    for files in found.values():
        files.sort()
        for of_class, file, i in files:
            digest.update(f"{of_class}\0{os.path.basename(file)}\0{tar.size(i)}\0".encode())
    return Source(
        name=name,
        class_names=names,
        train=_split(tar, found["train"], names),
        eval=_split(tar, found["eval"], names),
        one_size=False,
        fingerprint=lambda: digest.hexdigest()[:16],
    )


def _split(tar: Tar, files: list[tuple[str, str, int]], classes: list[str]) -> RecordSplit:
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[of_class] for of_class, _, _ in files], np.int32)

    def read(index: int) -> tuple[bytes, int]:
        return tar.read(files[index][2]), int(labels[index])

    names = [f"{tar.path.name}/{file}" for _, file, _ in files]
    return RecordSplit(tar.path.name, len(files), read=read, names=names, labels=labels)


def _place(parts: list[str]) -> tuple[str, str] | None:
    """The split's folder and the class, of a path that has both."""
    for depth, part in enumerate(parts[:-2]):
        if part in _SPLITS:
            return part, parts[depth + 1]
    return None


def _class_folders(paths: list[list[str]]) -> list[tuple[str, str] | None]:
    """The same where there are class folders alone, below folders that all paths share."""
    shared = 0
    while paths and all(len(p) > shared + 2 and p[shared] == paths[0][shared] for p in paths):
        shared += 1
    return [("val", path[shared]) if len(path) > shared + 1 else None for path in paths]

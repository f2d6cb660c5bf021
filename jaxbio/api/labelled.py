"""Pictures with labels of the user's own, as the data of an evaluation."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.data.class_names import match_classes
from jaxbio.data.folder import list_classes
from jaxbio.data.types import ArraySplit, FileSplit, Source, Split
from jaxbio.errors import InputError
from jaxbio.files.pictures import is_turned

# A folder of class folders, or (pictures, labels).
Data = str | Path | tuple[Any, Any]
_HASHED = 12  # digits of a fingerprint


def open_labelled(
    data: Data, class_names: Sequence[str] | None, num_classes: int, image_size: int
) -> Source:
    """A source whose evaluation split is what the user gives; nothing of it is trained on.

    Args:
        data: a folder ``DIR/CLASS/*`` (or ``DIR/val/CLASS/*``, ``DIR/test/CLASS/*``), or pictures
            and their labels: uint8 ``[N, H, W, C]`` or paths; numbers of classes, or names.
        class_names: of the network, in the order of its logits; None: unknown. Classes are matched
            by name where they are known, also a part of them; else the sorted folders are the
            classes.
        num_classes: of the network.
        image_size: side of its images: arrays that have it are taken as they are.

    Raises:
        InputError: no such folder, classes that the network does not have, or labels that do not
            fit the pictures.
    """
    names = [str(i) for i in range(num_classes)] if class_names is None else list(class_names)
    if isinstance(data, str | Path):
        paths, labels, folder = _folder(Path(data), names, class_names is not None)
        return _source(folder, names, FileSplit(paths, labels), _of_files(paths, labels), False)
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise InputError(f"data is a {type(data).__name__}: give a folder, or (images, labels)")
    images, labels = data[0], _numbers(data[1], names, class_names is not None)
    if len(images) != len(labels):
        raise InputError(f"data has {len(images)} images and {len(labels)} labels: give one each")
    if not len(labels):
        raise InputError("data is empty: give images and their labels")
    if isinstance(images, list | tuple) and all(isinstance(x, str | Path) for x in images):
        paths = [str(path) for path in images]
        for path in paths:
            is_turned(path)  # what is no picture is found before the rest
        return _source("files", names, FileSplit(paths, labels), _of_files(paths, labels), False)
    array = np.asarray(images)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise InputError(
            f"data has images {array.dtype} {array.shape}: give uint8 [N, H, W, 3], 0 to 255"
        )
    digest = hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
    fingerprint = hashlib.sha256(digest.encode() + labels.tobytes()).hexdigest()[:_HASHED]
    whole = array.shape[1:3] == (image_size, image_size)
    return _source("arrays", names, ArraySplit(array, labels), fingerprint, whole)


def _source(name: str, names: list[str], split: Split, fingerprint: str, one_size: bool) -> Source:
    return Source(name, names, split, split, one_size, lambda: fingerprint)


def _folder(root: Path, names: list[str], named: bool) -> tuple[list[str], np.ndarray, str]:
    if not root.is_dir():
        raise InputError(f"data={root} is not a directory: give a folder of class folders")
    split = next((root / s for s in ("val", "test") if (root / s).is_dir()), root)
    classes = sorted(e.name for e in split.iterdir() if e.is_dir() and not e.name.startswith("."))
    if not classes:
        raise InputError(f"data={root} has no class folders: images belong in {root}/CLASS/")
    if not named and len(classes) != len(names):
        raise InputError(
            f"data={root} has {len(classes)} class folders, the network {len(names)} classes "
            "without names: give class_names=[...] to wrap or load_model"
        )
    numbers = match_classes(classes, names, f"data={root}") if named else range(len(classes))
    found, _ = list_classes(str(split))
    return found.paths, np.array(numbers, np.int32)[found.labels], root.resolve().name


def _numbers(labels: Any, names: list[str], named: bool) -> np.ndarray:
    array = np.asarray(labels)
    if array.ndim != 1:
        raise InputError(f"data has labels of shape {array.shape}: give one per image")
    if array.dtype.kind in "US":
        if not named:
            raise InputError(
                "data has labels by name, the network has no names: give class_names=[...] to "
                "wrap or load_model, or numbers"
            )
        kinds, row = np.unique(array, return_inverse=True)
        return np.array(match_classes(kinds.tolist(), names, "data"), np.int32)[row]
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(f"data has labels of type {array.dtype}: give numbers or names of classes")
    if array.size and not (array.min() >= 0 and array.max() < len(names)):
        raise InputError(
            f"data has labels from {array.min()} to {array.max()}, the network {len(names)} "
            f"classes: use 0 to {len(names) - 1}"
        )
    return array.astype(np.int32)


def _of_files(paths: list[str], labels: np.ndarray) -> str:
    digest = hashlib.sha256(labels.tobytes())
    for path in paths:
        digest.update(f"{os.fsencode(path)!r} {os.path.getsize(path)}\0".encode())
    return digest.hexdigest()[:_HASHED]

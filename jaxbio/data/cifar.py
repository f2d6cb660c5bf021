"""CIFAR-10 and CIFAR-100 in every form in which people have them, as arrays in memory.

Reference:
    Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images", University of Toronto.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

import numpy as np

from jaxbio.data.archive import open_archive
from jaxbio.data.cifar_files import read_arrays, read_batch, read_binary
from jaxbio.data.class_names import match_classes, renumbered
from jaxbio.data.decoded import decoded, kept
from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import ArraySplit, FileSplit, Source, array_source, existing_data_path
from jaxbio.files.tars import SUFFIXES, Tar, is_tar

_TEN = "airplane automobile bird cat deer dog frog horse ship truck"
_HUNDRED = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain
plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
NAMES = {"cifar10": tuple(_TEN.split()), "cifar100": tuple(_HUNDRED.split())}
SIDE = 32

# The published files of each split, without ".bin".
_FILES = {
    "cifar10": {"train": [f"data_batch_{i}" for i in range(1, 6)], "eval": ["test_batch"]},
    "cifar100": {"train": ["train"], "eval": ["test"]},
}
_FOLDERS = {
    "cifar10": ("cifar-10-batches-bin", "cifar-10-batches-py"),
    "cifar100": ("cifar-100-binary", "cifar-100-python"),
}


def open_cifar(settings: Settings) -> Source:
    """Opens CIFAR-10 or CIFAR-100.

    ``data_dir``, or the folder ``<name>`` in it, is or has one of: the published binary files or
    Python batches (which are read without running anything in them), unpacked or as the published
    ``.tar.gz``; pictures in ``train/<class>/`` and ``test/<class>/``, also in a tar; an ``.npz``
    (see :func:`jaxbio.data.cifar_files.read_arrays`); a set that tfds has prepared. Pictures are
    decoded once and kept in the user's cache.

    Raises:
        DataError: nothing of this kind is there, or it is damaged or something else.
        InputError: an archive that cannot be read.
    """
    name, place = settings.source, Path(existing_data_path(settings))
    found = find_cifar(place, name)
    if found is None:
        raise DataError(
            f"{place} has no {name}: put cifar-{name.removeprefix('cifar')}-binary.tar.gz of "
            f"https://www.cs.toronto.edu/~kriz/cifar.html into {place / name}, as it is; pictures "
            "in train/<class>/ and test/<class>/ (also in a tar), an .npz or a set of tfds will "
            "do, too"
        )
    if found.is_file():
        return _open_file(found, name)
    if _is_official(found, name):
        contents = {path.name: path.read_bytes for path in found.iterdir()}
        return _from_files(contents, name, str(found))
    if (found / "train").is_dir():
        return _from_folder(settings, found, name)
    from jaxbio.data.tfds import open_tfds

    return open_tfds(settings, name)


def find_cifar(place: Path, name: str) -> Path | None:
    """The folder or file that :func:`open_cifar` would read; nothing in it is looked at."""
    if place.is_file():
        return place
    for folder in (place / name, place):
        if not folder.is_dir():
            continue
        for inner in (*(folder / n for n in _FOLDERS[name]), folder):
            if _is_official(inner, name):
                return inner
        if folder != place and (folder / "train").is_dir():
            return folder
        for path in sorted(folder.iterdir()):
            named = path.name.startswith((name, f"cifar-{name.removeprefix('cifar')}-"))
            if (named or folder != place) and (is_tar(path) or path.suffix == ".npz"):
                return path
        if folder != place and any(folder.glob("*/dataset_info.json")):
            return folder
    return None


def _official(name: str) -> set[str]:
    """What the published files may be called."""
    return {stem + end for stems in _FILES[name].values() for stem in stems for end in ("", ".bin")}


def _is_official(folder: Path, name: str) -> bool:
    return any((folder / file).is_file() for file in _official(name))


def _open_file(path: Path, name: str) -> Source:
    if path.suffix == ".npz":
        return _source(name, read_arrays(path, SIDE), str(path))
    if not is_tar(path):
        raise DataError(
            f"data.data_dir={str(path)!r}: {name} is a folder, an .npz or a {' '.join(SUFFIXES)}"
        )
    status = path.stat()
    key = f"{path.resolve()} {status.st_size} {status.st_mtime_ns} {name}"
    arrays = kept(key)
    if arrays is None:
        tar = Tar(path)
        files = {file.rpartition("/")[2]: i for i, file in enumerate(tar.names)}
        if _official(name) & files.keys():
            contents = {file: functools.partial(tar.read, i) for file, i in files.items()}
            return _from_files(contents, name, str(path))
        arrays = decoded(_with_names(open_archive(tar, name), name, str(path)), SIDE, key)
    return _source(name, arrays, str(path))


def _from_folder(settings: Settings, folder: Path, name: str) -> Source:
    from jaxbio.data.folder import open_image_folder

    opened = open_image_folder(dataclasses.replace(settings, data_dir=str(folder), cache="auto"))
    # With the times: another picture may have as many bytes.
    paths = [*cast(FileSplit, opened.train).paths, *cast(FileSplit, opened.eval).paths]
    times = sum(os.stat(path).st_mtime_ns for path in paths if os.path.exists(path))
    key = f"{folder.resolve()} {opened.fingerprint()} {times} {name}"
    arrays = kept(key)
    if arrays is None:
        arrays = decoded(_with_names(opened, name, str(folder)), SIDE, key)
    return _source(name, arrays, str(folder))


def _with_names(source: Source, name: str, where: str) -> Source:
    return renumbered(source, match_classes(source.class_names, NAMES[name], where), NAMES[name])


def _from_files(contents: Mapping[str, Callable[[], bytes]], name: str, where: str) -> Source:
    """The published files, by their names."""
    labels = 1 if name == "cifar10" else 2
    arrays: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for split, stems in _FILES[name].items():
        parts = []
        for stem in stems:
            if f"{stem}.bin" in contents:
                content = contents[f"{stem}.bin"]()
                parts.append(read_binary(content, labels, SIDE, f"{where}/{stem}.bin"))
            elif stem in contents:
                parts.append(read_batch(contents[stem](), SIDE, f"{where}/{stem}"))
            else:
                raise DataError(f"{where} lacks {stem}[.bin]: fetch {name} again")
        images, numbers = (np.concatenate(part) for part in zip(*parts, strict=True))
        arrays[split] = images, numbers
    return _source(name, arrays, where)


def _source(name: str, arrays: Mapping[str, tuple[np.ndarray, np.ndarray]], where: str) -> Source:
    names = NAMES[name]
    splits = {}
    for split, (images, labels) in arrays.items():
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise DataError(
                f"{where} has labels {labels.min()} to {labels.max()}: {name} has 0 to "
                f"{len(names) - 1}"
            )
        splits[split] = ArraySplit(images, labels.astype(np.int32))
    return array_source(name, names, splits)

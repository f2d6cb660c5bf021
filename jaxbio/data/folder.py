"""Image files in class folders: ``train/<class>/*`` and ``val/<class>/*`` (or ``test/``)."""

import hashlib
import logging
import os

import numpy as np

from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import FileSplit, Source, existing_data_dir

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
_FINGERPRINT_FILES = 10_000

_logger = logging.getLogger("jaxbio.data")


def open_image_folder(settings: Settings) -> Source:
    """Opens a folder of images, ImageNet's layout.

    Classes are the folders' names, sorted; examples are sorted by class and path. Images may lie
    deeper within a class folder. Files count by suffix (.jpg .jpeg .png .bmp .gif .webp, any
    case) and are decoded by content; hidden files are ignored, other files with a warning.

    Raises:
        DataError: no such folders, no images, or classes that differ between the splits.
    """
    if settings.cache is True:
        raise DataError(
            "data.cache=True: the system's file cache serves folders; use auto or False"
        )
    root = existing_data_dir(settings)
    train_dir = os.path.join(root, "train")
    eval_dir = next(
        (d for name in ("val", "test") if os.path.isdir(d := os.path.join(root, name))), None
    )
    if not os.path.isdir(train_dir) or eval_dir is None:
        raise DataError(
            f"data.data_dir={root!r} lacks {'val/ (or test/)' if eval_dir is None else 'train/'}: "
            "images belong in train/<class>/ and val/<class>/"
        )
    classes = _class_names(train_dir)
    different = sorted(set(classes) ^ set(_class_names(eval_dir)))
    if different:
        raise DataError(
            f"{train_dir} and {eval_dir} differ in {len(different)} class folders, first "
            f"{different[0]!r}: give both the same classes"
        )
    train, evaluation = _list_split(train_dir, classes), _list_split(eval_dir, classes)
    return Source(
        name="folder",
        class_names=classes,
        train=train,
        eval=evaluation,
        one_size=False,
        fingerprint=lambda: _fingerprint(root, [*train.paths, *evaluation.paths]),
    )


def _class_names(split_dir: str) -> list[str]:
    with os.scandir(split_dir) as entries:
        names = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not names:
        raise DataError(f"{split_dir} has no class folders: images belong in {split_dir}/<class>/")
    return names


def _list_split(split_dir: str, classes: list[str]) -> FileSplit:
    paths, labels, ignored = [], [], []
    for label, name in enumerate(classes):
        images = sorted(_images_below(os.path.join(split_dir, name), ignored))
        if not images:
            raise DataError(
                f"{os.path.join(split_dir, name)} has no images ({' '.join(SUFFIXES)}): add some "
                "or remove the class"
            )
        paths += images
        labels += [label] * len(images)
    if ignored:
        _logger.warning(
            "%s: %d files are not images by their names, ignored; first: %s",
            split_dir,
            len(ignored),
            min(ignored),
        )
    return FileSplit(paths, np.array(labels, np.int32))


def _images_below(folder: str, ignored: list[str]) -> list[str]:
    images = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                images += _images_below(entry.path, ignored)
            elif entry.name.lower().endswith(SUFFIXES):
                images.append(entry.path)
            else:
                ignored.append(entry.path)
    return images


def _fingerprint(root: str, paths: list[str]) -> str:
    """Hash of all relative paths and of the sizes of up to 10,000 files, evenly spread."""
    digest = hashlib.sha256()
    stride = -(-len(paths) // _FINGERPRINT_FILES)
    for position, path in enumerate(paths):
        digest.update(os.fsencode(os.path.relpath(path, root)) + b"\0")
        if position % stride == 0:
            digest.update(str(os.path.getsize(path)).encode() + b"\0")
    return digest.hexdigest()[:16]

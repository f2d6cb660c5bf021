"""Image files in class folders: ``train/<class>/*`` and ``val/<class>/*`` (or ``test/``)."""

import hashlib
import logging
import os

import numpy as np

from jaxbio.data.archive import open_archive
from jaxbio.data.class_names import check_distinct
from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import FileSplit, Source, existing_data_dir
from jaxbio.files.pictures import SUFFIXES, find_pictures
from jaxbio.files.tars import Tar, is_tar

_FINGERPRINT_FILES = 10_000

_logger = logging.getLogger("jaxbio.data")


def open_image_folder(settings: Settings) -> Source:
    """Opens a folder of images, ImageNet's layout.

    Classes are the folders' names, sorted; examples are sorted by class and path. Images may lie
    deeper within a class folder. :func:`jaxbio.files.pictures.find_pictures` says which files
    count; they are decoded by content. Others are warned about. Without ``train/`` the data are
    for evaluation alone; a folder that has the class folders themselves is such a test set. A tar
    of such a folder will do as well, see :func:`jaxbio.data.archive.open_archive`.

    Raises:
        DataError: no such folders, no images, or classes that collide or differ between the splits.
    """
    if settings.data_dir and is_tar(settings.data_dir):
        return open_archive(Tar(settings.data_dir))
    if settings.cache is True:
        raise DataError(
            "data.cache=True: the system's file cache serves folders; use auto or False"
        )
    root = existing_data_dir(settings)
    train_dir: str | None = os.path.join(root, "train")
    eval_dir = next(
        (d for name in ("val", "test") if os.path.isdir(d := os.path.join(root, name))), None
    )
    if not os.path.isdir(os.path.join(root, "train")):
        train_dir, eval_dir = None, eval_dir or root
    if eval_dir is None and not settings.split:
        raise DataError(
            f"data.data_dir={root!r} lacks val/ (or test/): images belong in train/<class>/ and "
            "val/<class>/; or set data.split=0.1 to hold out a tenth of train/"
        )
    classes = _class_names(train_dir or eval_dir or root, root)
    if train_dir and eval_dir:
        different = sorted(set(classes) ^ set(_class_names(eval_dir, root)))
        if different:
            raise DataError(
                f"{train_dir} and {eval_dir} differ in {len(different)} class folders, first "
                f"{different[0]!r}: give both the same classes"
            )
    train, evaluation = (
        FileSplit([], np.zeros(0, np.int32)) if folder is None else _list_split(folder, classes)
        for folder in (train_dir, eval_dir)
    )
    return Source(
        name="folder",
        class_names=classes,
        train=train,
        eval=evaluation,
        one_size=False,
        fingerprint=lambda: _fingerprint(root, [*train.paths, *evaluation.paths]),
    )


def list_classes(folder: str) -> tuple[FileSplit, list[str]]:
    """The images in a folder's class folders, and the classes.

    Raises:
        DataError: as :func:`open_image_folder`.
    """
    classes = _class_names(folder, folder)
    return _list_split(folder, classes), classes


def _class_names(split_dir: str, root: str) -> list[str]:
    names = sorted(
        name
        for name in os.listdir(split_dir)
        if not name.startswith(".") and os.path.isdir(os.path.join(split_dir, name))
    )
    if not names:
        where = f"{split_dir}/<class>/"
        if split_dir == root:
            where = f"{root}/train/<class>/ and {root}/val/<class>/ (or test/)"
        raise DataError(f"{split_dir} has no class folders: images belong in {where}")
    check_distinct(names, split_dir)
    return names


def _list_split(split_dir: str, classes: list[str]) -> FileSplit:
    paths: list[str] = []
    labels: list[int] = []
    left_out: list[str] = []
    for label, name in enumerate(classes):
        images, others = find_pictures(os.path.join(split_dir, name))
        if not images:
            raise DataError(
                f"{os.path.join(split_dir, name)} has no images ({' '.join(SUFFIXES)}): add some "
                "or remove the class"
            )
        paths += images
        labels += [label] * len(images)
        left_out += others
    warn_of_left_out(split_dir, left_out)
    return FileSplit(paths, np.array(labels, np.int32))


def warn_of_left_out(folder: str, left_out: list[str]) -> None:
    """Says how many files of a folder are not read, and which is the first."""
    if left_out:
        _logger.warning(
            "%s: %d files are not images by their names, ignored; first: %s",
            folder,
            len(left_out),
            min(left_out),
        )


def _fingerprint(root: str, paths: list[str]) -> str:
    """Hash of all relative paths and of the sizes of up to 10,000 files, evenly spread."""
    digest = hashlib.sha256()
    stride = -(-len(paths) // _FINGERPRINT_FILES)
    for position, path in enumerate(paths):
        digest.update(os.fsencode(os.path.relpath(path, root)) + b"\0")
        if position % stride == 0:
            size = str(os.path.getsize(path)) if os.path.isfile(path) else "missing"
            digest.update(size.encode() + b"\0")
    return digest.hexdigest()[:16]

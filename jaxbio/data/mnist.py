"""MNIST from its IDX files, and a strict reader of such files."""

import gzip
import math
import zlib
from pathlib import Path
from typing import cast

import numpy as np

from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import ArraySplit, Source, array_source, existing_data_dir
from jaxbio.files.sizes import check_size, inflated

_IMAGES = 3  # dimensions, the last byte of the file's magic number
_LABELS = 1
_FILES = {
    "train": ("train-images", "train-labels"),
    "eval": ("t10k-images", "t10k-labels"),
}


def open_mnist(settings: Settings) -> Source:
    """Opens MNIST from ``<data_dir>/mnist``.

    That folder holds the four published files ``{train,t10k}-{images-idx3,labels-idx1}-ubyte``,
    as they are or gzipped (``.gz``); or what ``tfds build mnist`` leaves there. Any other set in
    these files works too if its images are squares and its labels 0..9.

    Raises:
        DataError: files are missing or broken.

    Reference:
        LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 1998.
    """
    folder = Path(existing_data_dir(settings)) / "mnist"
    paths = {stem: _find(folder, stem) for stems in _FILES.values() for stem in stems}
    missing = [stem for stem, path in paths.items() if path is None]
    if len(missing) == len(paths) and any(folder.glob("*/dataset_info.json")):
        from jaxbio.data.tfds import open_tfds

        return open_tfds(settings, "mnist")
    if missing:
        raise DataError(
            f"{folder} has no {missing[0]}-idx{_dimensions(missing[0])}-ubyte[.gz]: put the four "
            "MNIST files there, or set data.data_dir to the folder that has mnist/"
        )
    splits = {
        split: _read_split(*(cast(Path, paths[stem]) for stem in stems))
        for split, stems in _FILES.items()
    }
    shapes = {split.images.shape[1:] for split in splits.values()}
    if len(shapes) > 1:
        raise DataError(f"{folder}: training and test images differ in size: {sorted(shapes)}")
    return array_source("mnist", [str(digit) for digit in range(10)], splits)


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Reads an IDX file of unsigned bytes, gzipped if its name ends in .gz.

    Returns:
        uint8 array of so many dimensions.

    Raises:
        DataError: not an IDX file of this kind, or its size is not what its header says.
    """
    header = 4 + 4 * dimensions
    packed = path.suffix == ".gz"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            begin = file.read(header)
            if begin[:4] != bytes([0, 0, 8, dimensions]):
                raise DataError(
                    f"{path} begins with {begin[:4].hex(' ') or 'nothing'}, an IDX file of "
                    f"{dimensions}-dimensional bytes with 00 00 08 0{dimensions}: fetch it again"
                )
            if len(begin) < header:
                raise DataError(f"{path} ends within its header: fetch it again")
            shape = tuple(int(n) for n in np.frombuffer(begin, ">u4", dimensions, offset=4))
            size = math.prod(shape)
            stored = path.stat().st_size
            check_size(path, f"its header {shape}", size, inflated(stored) if packed else stored)
            content = file.read(size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is broken or truncated ({error}): fetch it again") from error
    if len(content) != size:
        raise DataError(
            f"{path} has {'more' if len(content) > size else 'fewer'} bytes than header {shape} "
            "means: fetch it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _find(folder: Path, stem: str) -> Path | None:
    dimensions = _dimensions(stem)
    for name in (f"{stem}-idx{dimensions}-ubyte", f"{stem}.idx{dimensions}-ubyte"):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def _dimensions(stem: str) -> int:
    return _IMAGES if stem.endswith("images") else _LABELS


def _read_split(image_path: Path, label_path: Path) -> ArraySplit:
    images, labels = read_idx(image_path, _IMAGES), read_idx(label_path, _LABELS)
    if len(images) != len(labels):
        raise DataError(
            f"{image_path} has {len(images)} images, {label_path} {len(labels)} labels: "
            "they do not belong together"
        )
    if not len(images):
        raise DataError(f"{image_path} has no images: fetch it again")
    if images.shape[1] != images.shape[2] or not images.shape[1]:
        raise DataError(f"{image_path} has images of {images.shape[1:]} pixels: use squares")
    if labels.max() > 9:
        raise DataError(f"{label_path} has label {labels.max()}: labels are 0..9")
    return ArraySplit(images[..., None], labels.astype(np.int32))

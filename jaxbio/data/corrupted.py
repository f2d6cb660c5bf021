"""Published corrupted test sets, read as they are: ImageNet-C's folders, CIFAR-10-C's arrays.

Reference:
    Hendrycks & Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations", ICLR.
"""

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np

from jaxbio.data.cifar import NAMES
from jaxbio.data.folder import list_classes
from jaxbio.data.settings import DataError
from jaxbio.data.types import ArraySplit, FileSplit, Source
from jaxbio.files.npz import read_npy
from jaxbio.files.pictures import open_picture

SEVERITIES = (1, 2, 3, 4, 5)
_LABELS = "labels.npy"


@dataclasses.dataclass(frozen=True)
class CorruptedSet:
    """Kinds of corruption at severities, the same pictures under each.

    Attributes:
        folder: where it lies.
        places: the folder of a cell's class folders, or the file that has all severities of a
            kind, by (kind, severity).
        arrays: whether the cells are in arrays.
    """

    folder: Path
    places: dict[tuple[str, int], Path]
    arrays: bool

    @property
    def kinds(self) -> list[str]:
        """The corruptions that there are."""
        return list(dict.fromkeys(kind for kind, _ in self.places))

    def fingerprint(self) -> str:
        """A short hash of which cells there are; of arrays also of the labels."""
        digest = hashlib.sha256(repr(sorted(self.places)).encode())
        if self.arrays:
            digest.update((self.folder / _LABELS).read_bytes())
        return digest.hexdigest()[:16]

    def open(self, kind: str, severity: int) -> Source:
        """A cell as a test set.

        Raises:
            DataError: it is not there, or without pictures.
            InputError: it is damaged.
        """
        place = self.places.get((kind, severity))
        if place is None:
            raise DataError(f"{self.folder} has no {kind} at severity {severity}")
        if self.arrays:
            return self._array(place, severity)
        return _source(*list_classes(os.fspath(place)), one_size=False)

    def side(self) -> int:
        """Side of the pictures if the first one is a square, in pixels; else 0."""
        kind, severity = next(iter(self.places))
        split = self.open(kind, severity).eval
        if isinstance(split, ArraySplit):
            return split.images.shape[1]
        assert isinstance(split, FileSplit)
        width, height = open_picture(split.paths[0], upright=False).size
        return width if width == height else 0

    def _array(self, place: Path, severity: int) -> Source:
        images, labels = read_npy(place, "r"), read_npy(self.folder / _LABELS, "r")
        fits = images.ndim == 4 and labels.ndim == 1 and len(images) == len(labels) > 0
        if not fits or len(labels) % len(SEVERITIES):
            raise DataError(
                f"{place} has an array {images.shape}, {_LABELS} {labels.shape}: the pictures of "
                "all five severities one after another are needed"
            )
        square = images.shape[1] == images.shape[2] and images.shape[3] == 3
        if images.dtype != np.uint8 or not square or labels.dtype.kind not in "iu":
            raise DataError(f"{place} is {images.dtype} {images.shape}: use uint8 [N, S, S, 3]")
        names = NAMES["cifar10" if labels.max() < 10 else "cifar100"]
        if not 0 <= labels.min() <= labels.max() < len(names):
            raise DataError(f"{self.folder / _LABELS} has labels to {labels.max()}: use 0 to 99")
        count = len(labels) // len(SEVERITIES)
        rows = slice((severity - 1) * count, severity * count)
        split = ArraySplit(np.array(images[rows]), labels[rows].astype(np.int32))
        return _source(split, list(names), one_size=True)


def open_corrupted(folder: str | Path) -> CorruptedSet:
    """Finds the cells of a published set.

    ``<kind>/<severity>/<class>/*`` (ImageNet-C, Tiny-ImageNet-C), where kinds may lie in folders of
    groups (``noise/``), or ``<kind>.npy`` uint8 ``[5 N, S, S, 3]`` beside ``labels.npy``
    (CIFAR-10-C, CIFAR-100-C).

    Raises:
        DataError: neither is there.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"--corrupted={folder} is not a directory: give that of ImageNet-C or such")
    if (root / _LABELS).is_file():
        files = sorted(path for path in root.glob("*.npy") if path.name != _LABELS)
        if files:
            cells = {(path.stem, s): path for path in files for s in SEVERITIES}
            return CorruptedSet(root, cells, True)
    cells = {}
    for kind in [
        *_folders(root),
        *(inner for group in _folders(root) for inner in _folders(group)),
    ]:
        for severity in SEVERITIES:
            if (kind / str(severity)).is_dir():
                other = cells.setdefault((kind.name, severity), kind / str(severity))
                if other.parent != kind:
                    raise DataError(f"{other.parent} and {kind} are one kind: remove one of them")
    if not cells:
        raise DataError(
            f"--corrupted={folder} has neither <kind>/<severity>/<class>/* (ImageNet-C) nor "
            f"<kind>.npy and {_LABELS} (CIFAR-10-C): give the folder that has them"
        )
    return CorruptedSet(root, cells, False)


def _folders(path: Path) -> list[Path]:
    entries = sorted(path.iterdir())
    return [e for e in entries if e.is_dir() and not e.name.startswith(".")]


def _source(split: ArraySplit | FileSplit, names: list[str], one_size: bool) -> Source:
    none = FileSplit([], np.zeros(0, np.int32))
    return Source("corrupted", names, none, split, one_size, lambda: "")

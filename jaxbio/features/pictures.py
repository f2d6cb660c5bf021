"""The images whose features are wanted: a folder, or the test set of a configuration."""

import dataclasses
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np

from jaxbio.data import Source, eval_batches
from jaxbio.data.folder import warn_of_left_out
from jaxbio.data.settings import Settings
from jaxbio.data.splits import encoded, taken
from jaxbio.data.types import ArraySplit, FileSplit, Split
from jaxbio.errors import InputError
from jaxbio.files.pictures import SUFFIXES, find_pictures, is_turned


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Images in a fixed order.

    Attributes:
        names: of the images: paths relative to the folder, or their numbers in the test set.
        source: its evaluation split holds the images.
    """

    names: list[str]
    source: Source

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[str]:
        """The files of pictures that are files."""
        return cast(FileSplit, self.source.eval).paths

    def digest(self) -> str:
        """SHA-256 of all names and contents (files, or pixels where there are none), in order."""
        split, digest = self.source.eval, hashlib.sha256()
        with ThreadPoolExecutor() as pool:
            hashes = list(pool.map(lambda index: _hash(split, index), range(len(split))))
        for name, content in zip(self.names, hashes, strict=True):
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    def batches(
        self, settings: Settings, batch_size: int, start: int = 0
    ) -> Iterator[dict[str, np.ndarray]]:
        """One pass from image ``start`` on, decoded, resized and cropped ahead in threads as in any
        evaluation; up to ``max_bad_files`` images that do not decode are masked.

        Yields:
            See :func:`jaxbio.data.eval_batches`; ``index`` is the image's place in ``names``.

        Raises:
            DataError: too many images do not decode; the message has the path of the last.
        """
        rest = dataclasses.replace(
            self.source, eval=taken(self.source.eval, np.arange(start, len(self)))
        )
        for batch in eval_batches(rest, settings, global_batch_size=batch_size):
            yield {**batch, "index": np.where(batch["index"] >= 0, batch["index"] + start, -1)}


def open_pictures(folder: str | Path) -> Pictures:
    """The images in a folder and the folders below it, sorted by path.

    :func:`jaxbio.files.pictures.find_pictures` says which files count; others are warned about.

    Raises:
        InputError: no such folder, or no images in it.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"--images={folder} is not a directory: give a folder of images")
    paths, left_out = find_pictures(root)
    if not paths:
        raise InputError(f"--images={folder} has no images ({' '.join(SUFFIXES)}): add some")
    warn_of_left_out(str(folder), left_out)
    return _of_files(paths, [Path(path).relative_to(root).as_posix() for path in paths], False)


def given_pictures(paths: Sequence[str | Path], *, one_size: bool = False) -> Pictures:
    """Photographs that a user names: files, and folders as in :func:`open_pictures`.

    Args:
        paths: of files and folders.
        one_size: prepare them as the pictures of a data set of small squares: resized, not cropped.

    Raises:
        InputError: a path that is missing or no picture.
    """
    files: list[str] = []
    for path in paths:
        files += open_pictures(path).paths if os.path.isdir(path) else [str(path)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(is_turned, files))  # opens each: what is no picture is found before the rest
    return _of_files(files, files, one_size)


def test_pictures(source: Source) -> Pictures:
    """The evaluation split of a data set; the images' names are their numbers in it."""
    return Pictures([str(i) for i in range(source.num_eval)], source)


def named_pictures(split: Split, names: list[str], one_size: bool) -> Pictures:
    """The pictures of a split that belongs to no data set."""
    return Pictures(names, Source("images", ["image"], split, split, one_size, lambda: ""))


def _of_files(paths: list[str], names: list[str], one_size: bool) -> Pictures:
    names = [os.fsencode(name).decode(errors="backslashreplace") for name in names]
    return named_pictures(FileSplit(paths, np.zeros(len(paths), np.int32)), names, one_size)


def _hash(split: Split, index: int) -> str:
    content: Any
    if isinstance(split, ArraySplit):
        content = np.ascontiguousarray(split.images[index]).data
    elif isinstance(split, FileSplit):
        try:
            with open(split.paths[index], "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "unreadable"  # the pipeline will stumble over it, and say why
    else:
        content = encoded(split, index)
    return hashlib.sha256(content).hexdigest()

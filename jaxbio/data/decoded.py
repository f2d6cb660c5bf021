"""Small pictures decoded once: as arrays in memory, and kept in the user's cache."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.data.settings import DataError
from jaxbio.data.splits import labels_of, picture
from jaxbio.data.types import Source, Split
from jaxbio.errors import WriteError
from jaxbio.files import atomic, cache_folder

Arrays = dict[str, tuple[np.ndarray, np.ndarray]]

_SPLITS = ("train", "eval")
_logger = logging.getLogger("jaxbio.data")


def kept(key: str) -> Arrays | None:
    """What :func:`decoded` has kept under a key; None if that is gone or damaged."""
    try:
        with np.load(_file(key), allow_pickle=False) as file:
            return {s: (file[f"{s}_images"], file[f"{s}_labels"]) for s in _SPLITS}
    except Exception:  # whatever is wrong with it: it is made anew
        return None


def decoded(source: Source, side: int, key: str) -> Arrays:
    """Decodes all pictures of a source.

    Args:
        source: of encoded pictures.
        side: that all of them have, pixels.
        key: says which pictures these are; to keep them by.

    Returns:
        By split (``train``, ``eval``) uint8 ``[N, side, side, 3]`` and int32 ``[N]``.

    Raises:
        DataError: a picture of another size.
        InputError: a picture that does not decode.
    """
    count = source.num_train + source.num_eval
    _logger.info("%s: decoding %d pictures, once", source.name, count)
    arrays = {s: _arrays(getattr(source, s), side, source.name) for s in _SPLITS}
    try:
        with atomic(_file(key)) as temporary, open(temporary, "wb") as file:
            fields: dict[str, Any] = {}
            for s, (images, labels) in arrays.items():
                fields |= {f"{s}_images": images, f"{s}_labels": labels}
            np.savez(file, **fields)
    except (WriteError, OSError) as error:
        _logger.warning("%s: the decoded pictures are not kept: %s", source.name, error)
    return arrays


def _arrays(split: Split, side: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    images = np.empty((len(split), side, side, 3), np.uint8)
    for i in range(len(split)):
        pixels = picture(split, i)
        if pixels.shape != (side, side, 3):
            raise DataError(
                f"{split.example_name(i)} has {pixels.shape[1]} x {pixels.shape[0]} pixels, the "
                f"pictures of {name} {side} x {side}: use data.source=folder"
            )
        images[i] = pixels
    return images, labels_of(split)


def _file(key: str) -> Path:
    digest = hashlib.sha256(f"1 {key}".encode(errors="surrogateescape")).hexdigest()[:24]
    return cache_folder() / "data" / f"{digest}.npz"

"""What a file declares is held against the file and the memory before anything is allocated."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError

_INFLATION = 1032  # the most that a compressed byte can stand for in zlib's format
# Beyond this size no data compress so well: it is a file made to fill the memory.
_MUCH = 2**28
_INFLATION_OF_MUCH = 100
_SMALL = 2**20  # not worth a refusal


def check_size(path: str | Path, what: str, declared: int, stored: int | None = None) -> None:
    """Refuses what cannot be read.

    Args:
        path: the file, for the message.
        what: the part of it, for the message.
        declared: bytes that reading it would take.
        stored: bytes that the file can have for it, if that is known; :func:`inflated` where they
            are compressed.

    Raises:
        InputError: the file has less than it declares, or the machine has not that much memory.
    """
    if declared < 0 or (stored is not None and declared > max(stored, _SMALL)):
        raise InputError(
            f"{path}: {what} declares {declared} bytes, the file has at most {stored}: it is "
            "damaged, or was made to fill the memory"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if declared > memory:
        raise InputError(
            f"{path}: {what} takes {declared / 2**30:.1f} GiB, this machine has "
            f"{memory / 2**30:.1f} GiB of memory: take a part of it, or a larger machine"
        )


def inflated(stored: int) -> int:
    """The most that this many compressed bytes may unfold into."""
    return min(stored * _INFLATION, max(_MUCH, stored * _INFLATION_OF_MUCH))


def text_array(path: str | Path, what: str, texts: Iterable[object], size: int) -> np.ndarray:
    """Texts as a flat array of ``str``, where each takes the room of the longest.

    ``path`` is the file, of so many bytes, and ``what`` the part of it, for the message.

    Raises:
        InputError: a single long one would make the array many times larger than the file.
    """
    values = [str(text) for text in texts]
    needed = 4 * len(values) * max(map(len, values), default=0)
    check_size(path, what, needed, inflated(size))
    return np.array(values, str)

"""What a file declares is held against the file and the memory before anything is allocated."""

import os
from pathlib import Path

from jaxbio.errors import InputError

# The most that a compressed byte can stand for in zlib's format.
INFLATION = 1032
_SMALL = 2**20  # not worth a refusal


def check_size(path: str | Path, what: str, declared: int, stored: int | None = None) -> None:
    """Refuses what cannot be read.

    Args:
        path: the file, for the message.
        what: the part of it, for the message.
        declared: bytes that reading it would take.
        stored: bytes that the file can have for it, if that is known; times :data:`INFLATION` where
            they are compressed.

    Raises:
        InputError: the file has less than it declares, or the machine has not that much memory.
    """
    if declared < 0 or (stored is not None and declared > max(stored, _SMALL)):
        raise InputError(
            f"{path}: {what} declares {declared} bytes, the file has {stored}: it is damaged"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if declared > memory:
        raise InputError(
            f"{path}: {what} takes {declared / 2**30:.1f} GiB, this machine has "
            f"{memory / 2**30:.1f} GiB of memory: take a part of it, or a larger machine"
        )

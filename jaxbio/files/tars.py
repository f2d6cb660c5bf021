"""Tar archives read as they are: nothing is unpacked, nothing in them is obeyed."""

import bz2
import collections
import contextlib
import gzip
import lzma
import os
import tarfile
import zlib
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError
from jaxbio.files.reading import reason
from jaxbio.files.sizes import check_size

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

_OPENERS: dict[str, Any] = {"gz": gzip.open, "xz": lzma.open, "z2": bz2.open}
_FAILURES = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, OSError, ValueError)
# What compressed data may unfold into: a little, or this many times their size.
_LITTLE, _TIMES = 2**28, 100


def is_tar(path: str | Path) -> bool:
    """Whether a file has the name of a tar archive."""
    return str(path).lower().endswith(SUFFIXES) and os.path.isfile(path)


class Tar:
    """The files of an archive, in its order; links, devices and hidden files are left out.

    The content of a compressed archive is held in memory, that of a plain one read when it is
    asked for.

    Attributes:
        names: of the files, with ``/``.

    Raises:
        InputError: it is truncated, damaged or no archive, unfolds into too much, has paths that
            lead out of it, or a file twice.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.names: list[str] = []
        self._contents: list[bytes] = []
        self._places: list[tuple[int, int]] = []
        packed = self.path.suffix.lower()[-2:] in _OPENERS
        try:
            self._size = self.path.stat().st_size
            self._read(packed)
        except InputError:
            raise
        except _FAILURES as error:
            raise InputError(
                f"{self.path} is truncated or damaged ({reason(error)}): fetch it again"
            ) from error
        if len(set(self.names)) < len(self.names):
            double, _ = collections.Counter(self.names).most_common(1)[0]
            raise InputError(f"{path} has {double!r} twice: make it anew")
        self._descriptor = -1 if packed else os.open(self.path, os.O_RDONLY)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._descriptor)

    def size(self, index: int) -> int:
        """Bytes of the file ``names[index]``."""
        return len(self._contents[index]) if self._contents else self._places[index][1]

    def read(self, index: int) -> bytes:
        """The content of the file ``names[index]``; from any thread.

        Raises:
            InputError: the archive has become shorter.
        """
        if self._contents:
            return self._contents[index]
        offset, size = self._places[index]
        content = os.pread(self._descriptor, size, offset)
        if len(content) < size:
            raise InputError(f"{self.path} ends within {self.names[index]}: fetch it again")
        return content

    def _read(self, packed: bool) -> None:
        total, most = 0, max(_LITTLE, _TIMES * self._size) if packed else self._size
        opener = _OPENERS[self.path.suffix.lower()[-2:]] if packed else open
        with (
            opener(self.path, "rb") as rest,
            tarfile.open(fileobj=rest, mode="r|" if packed else "r:") as archive,
        ):
            for member in archive:
                self._check_name(member.name)
                total += member.size
                check_size(self.path, "its content", total, most)
                if not member.isreg() or self._is_hidden(member.name):
                    continue
                self.names.append(os.path.normpath(member.name))
                if packed:
                    content: Any = archive.extractfile(member)
                    self._contents.append(content.read())
                else:
                    end = member.offset_data + member.size
                    if end > self._size:
                        raise InputError(f"{self.path} ends within {member.name}: fetch it again")
                    self._places.append((member.offset_data, member.size))
            while packed and rest.read(2**20):  # to the end, where the checksum is
                pass

    def _check_name(self, name: str) -> None:
        if name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise InputError(
                f"{self.path} has the path {name!r}, which leads out of it: make it anew"
            )

    @staticmethod
    def _is_hidden(name: str) -> bool:
        return any(part.startswith(".") and part != "." for part in name.split("/"))

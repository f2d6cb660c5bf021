"""Reads ``metrics.jsonl``, while it is written too; without JAX, so that looking costs nothing."""

import json
import os
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular

_MOST_STEP = 2**31 - 1  # steps are int32 on the device


class MetricsReader:
    """Reads ``metrics.jsonl`` again and again, each time what has come since.

    A line that is being written, or was when its run was killed, or that is damaged, is left out.

    Args:
        file: need not exist, and may be replaced by a shorter one.

    Attributes:
        damaged: number of whole lines that were left out.
        tail: what follows the last whole line.
    """

    def __init__(self, file: Path):
        self._file = file
        self._inode, self._end = 0, 0
        self.damaged, self.tail = 0, b""

    def text(self, most: int = -1) -> tuple[bytes, bool]:
        """The whole lines that have come, as they stand in the file.

        Args:
            most: bytes to read now; -1: all that there are.

        Returns:
            The lines, and whether the file began anew: what was read before counts no more.
        """
        anew = False
        try:
            check_regular(self._file)
            with self._file.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._end:
                    anew, self._inode, self._end, self.damaged = True, found.st_ino, 0, 0
                file.seek(self._end)
                new = file.read(most)
                if most >= 0 and b"\n" not in new:  # a line that is longer
                    new += file.readline()
        except (OSError, InputError):  # none yet, or something else in its place
            return b"", False
        whole = new[: new.rfind(b"\n") + 1]
        self._end += len(whole)
        self.tail = new[len(whole) :]
        return whole, anew

    def more(self, most: int = -1) -> tuple[list[dict[str, Any]], bool]:
        """The same, read: each line has ``step`` and ``split``."""
        whole, anew = self.text(most)
        texts = whole.splitlines()
        lines = parse_lines(texts)
        self.damaged += len(texts) - len(lines)
        return lines, anew

    @property
    def waiting(self) -> int:
        """Bytes that have not been read yet."""
        try:
            check_regular(self._file)
            return max(0, self._file.stat().st_size - self._end - len(self.tail))
        except (OSError, InputError):
            return 0


def read_metrics(file: Path, *keys: str) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` that hold numbers; none where there is no file.

    Args:
        file: see :class:`MetricsReader`.
        keys: what a line of either split has to have to count.
    """
    reader = MetricsReader(file)
    lines = reader.more()[0]
    lines += parse_lines([reader.tail])  # a last line without its end may be whole
    return [line for line in lines if all(isinstance(line.get(k), int | float) for k in keys)]


def parse_lines(texts: list[bytes]) -> list[dict[str, Any]]:
    """Lines of ``metrics.jsonl``; damaged ones are left out."""
    try:  # all at once is three times as fast
        values = json.loads(b"[" + b",".join(texts) + b"]")
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(texts):
        values = [_parse_line(text) for text in texts]
    return [value for value in values if _is_line(value)]


def _parse_line(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_line(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value.get("step")) is int
        and 0 <= value["step"] <= _MOST_STEP
        and type(value.get("split")) is str
    )

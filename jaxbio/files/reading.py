"""Reading of what others made: whatever is wrong with a file becomes one line that names it."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jaxbio.errors import InputError


def check_regular(path: str | Path) -> None:
    """Refuses pipes, devices and folders: reading some of them never ends.

    Raises:
        InputError: it is no file, does not exist, or is a link that leads nowhere.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:  # a path with a NUL byte
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        what = "does not exist" if missing else f"cannot be read ({reason(error)})"
        raise InputError(f"{path} {what}: give a file") from error
    if not stat.S_ISREG(mode):
        what = "folder" if stat.S_ISDIR(mode) else "file of the disk but a pipe or device"
        raise InputError(f"{path} is {'a' if what == 'folder' else 'no'} {what}: give a file")


@contextlib.contextmanager
def reading(path: str | Path, kind: str) -> Iterator[None]:
    """Whatever a reader meets in a damaged file, as one line.

    Libraries raise almost anything there: the number of kinds of damage has no bound.

    Args:
        path: the file, for the message.
        kind: what it should have been, such as "an .npz file".

    Raises:
        InputError: instead of any other exception; those stay its cause.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as {kind} ({reason(error)})") from error


def reason(error: BaseException) -> str:
    """The first line of an error, cut to a length that fits into a message."""
    text = getattr(error, "strerror", None) or str(error)
    text = str(text).partition(" See full TensorStore details")[0]  # the address of a C++ object
    return (text.splitlines() or [type(error).__name__])[0][:200] or type(error).__name__

"""Files that are the old one or the whole new one, whatever happens while they are written.

Beside it: pictures, HDF5 and declared sizes, opened in one place each.
"""

import contextlib
import csv
import functools
import io
import itertools
import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError, WriteError
from jaxbio.files.reading import check_regular, reason

# .NAME.HOST.PID.NUMBER.tmp.SUFFIX: says whose it is, so that what a killed process left can go.
_TEMPORARY = re.compile(r"\..*\.(?P<host>[^.]*)\.(?P<pid>\d+)\.\d+\.tmp(\.[^.]*)?")
_NUMBERS = itertools.count()
_FOREIGN_SECONDS = 86400.0  # another machine's process is taken for dead after a day


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place unless the body fails.

    What is there is written to the disk before it gets its name, and goes if anything fails.
    Temporary files that killed processes left in the folder are removed.

    Args:
        path: the folder is made if need be; the temporary path has the same suffix.

    Yields:
        The path to write to; nothing is there yet.

    Raises:
        WriteError: the disk does not take it.
    """
    path = Path(path)
    number = next(_NUMBERS)
    name = f".{path.stem[:40]}.{_host()}.{os.getpid()}.{number}.tmp{path.suffix}"
    temporary = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_once(path.parent)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except OSError as error:
        raise WriteError.of(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """What can be made again and is kept between processes: ``~/.cache/jaxbio``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxbio"


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 atomically; see :func:`atomic`."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | Path, value: Any) -> None:
    """Writes JSON atomically; see :func:`atomic`."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV, a line each."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def read_json(path: str | Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        InputError: the file does not exist, cannot be read or holds something else.
    """
    try:
        if os.path.lexists(path):
            check_regular(path)
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path} does not exist: is --workdir a run directory?") from None
    except InputError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8 and not JSON are ValueErrors
        raise InputError(
            f"{path} cannot be read ({reason(error)}): restore or remove it"
        ) from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no JSON object: restore or remove it")
    return value


def remove_left(folder: Path) -> None:
    """Removes the temporary files in a folder whose processes are dead."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            match = _TEMPORARY.fullmatch(entry.name)
            with contextlib.suppress(OSError):
                if match and not _alive(match["host"], int(match["pid"]), entry):
                    os.unlink(entry.path)


_remove_left_once = functools.cache(remove_left)


def _alive(host: str, pid: int, entry: os.DirEntry) -> bool:
    if host != _host():
        return time.time() - entry.stat(follow_symlinks=False).st_mtime < _FOREIGN_SECONDS
    return process_alive(pid)


def process_alive(pid: int) -> bool:
    """Whether a process of this machine lives."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _host() -> str:
    return os.uname().nodename.replace(".", "-")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

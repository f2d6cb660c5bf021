"""One process trains in a run directory at a time.

The owner holds a lock of the operating system on ``<run>/lock``, which ends with the process
however it ends. File systems over a network may not know such locks, or not tell them to other
machines: so the owner also changes the file's time every few seconds, and who finds the lock of
another machine watches it for a while before he takes it for dead.
"""

import contextlib
import fcntl
import getpass
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError, WriteError

_BEAT_SECONDS = 5.0
_DEAD_SECONDS = 30.0  # without a beat


class RunLock:
    """Held from ``with`` to its end.

    Args:
        run: the run directory.

    Raises:
        InputError: on entering: another process holds it.
        WriteError: the disk does not take the file.
    """

    def __init__(self, run: Path):
        self._run, self._path = run, run / "lock"
        self._handle: Any = None  # a file descriptor within ``with``
        self._ended = threading.Event()

    def __enter__(self) -> "RunLock":
        try:
            self._handle = self._acquire()
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(_owner()).encode(), 0)
            os.fsync(self._handle)
        except OSError as error:
            raise WriteError.of(self._path, error) from error
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            if self._is_ours():
                self._path.unlink()
        os.close(self._handle)

    def check(self) -> None:
        """Raises a ``WriteError`` if the run directory has gone or is another process's now."""
        with contextlib.suppress(OSError):
            if self._is_ours():
                return
        raise WriteError(f"{self._run} has gone or was taken over by another process: stopped")

    def _is_ours(self) -> bool:
        same = os.path.samestat(os.fstat(self._handle), self._path.stat())
        return same and _read(self._handle) == _owner()

    def _acquire(self) -> int:
        while True:
            # What a link leads to is not ours to write over.
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
            try:
                if self._is_free(handle):
                    return handle
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)  # its owner removed the file meanwhile: there is a new one

    def _is_free(self, handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        except BlockingIOError:
            raise self._taken(_read(handle)) from None
        except OSError:  # this file system has no locks
            locked = False
        owner = _read(handle)
        local = locked and owner.get("boot") == _boot()
        if owner and not local and self._beats():
            raise self._taken(owner)
        with contextlib.suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(handle), self._path.stat())
        return False

    def _beats(self) -> bool:
        """Whether the file's time changes; it is opened anew each time, since NFS then looks."""
        first, end = self._path.stat().st_mtime_ns, time.monotonic() + _DEAD_SECONDS
        while time.monotonic() < end:
            time.sleep(min(1.0, _DEAD_SECONDS))
            with self._path.open("rb") as file:
                if os.fstat(file.fileno()).st_mtime_ns != first:
                    return True
        return False

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._handle)

    def _taken(self, owner: dict[str, str | int]) -> InputError:
        process, user, host, since = (
            owner.get(key, "?") for key in ("process", "user", "host", "since")
        )
        return InputError(
            f"{self._run} is in use by process {process} of {user} on {host} since {since}: wait "
            "for it, or choose another --workdir"
        )


def training_process(run: Path) -> int:
    """The process of this machine that holds the lock of a run directory.

    Raises:
        InputError: none does, or one of another machine, which cannot be reached from here.
    """
    try:
        handle = os.open(run / "lock", os.O_RDONLY)
    except OSError:
        raise InputError(f"{run} is not training") from None
    try:
        owner = _read(handle)
        here = owner.get("boot") == _boot() and owner.get("host") == os.uname().nodename
        process = owner.get("process")
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        if here and isinstance(process, int) and process > 1:
            return process
        raise InputError(f"{run} is trained on {owner.get('host', '?')}: stop it there") from None
    except OSError as error:
        raise InputError(f"{run}: this file system has no locks ({error.strerror})") from error
    finally:
        os.close(handle)
    raise InputError(f"{run} is not training")


_SINCE = time.strftime("%Y-%m-%d %H:%M:%S")


def _owner() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "user": _user(),
        "host": os.uname().nodename,
        "boot": _boot(),
        "since": _SINCE,
    }


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may not know its user
        return str(os.getuid())


def _boot() -> str:
    """Names this machine since it was started; containers share it, as they share locks."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return os.uname().nodename


def _read(handle: int) -> dict[str, str | int]:
    try:
        found = json.loads(os.pread(handle, 4096, 0))
    except ValueError:  # nothing yet, or torn
        return {}
    return found if isinstance(found, dict) else {}

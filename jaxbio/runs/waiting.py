"""Long work that has no steps to count: said, with how long it took the last time.

Nobody should look at a silent terminal for more than ten seconds. Nothing here imports JAX.
"""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError, WriteError
from jaxbio.files import cache_folder, read_json, write_json
from jaxbio.runs.progress import say

_SILENCE = 5.0  # seconds before a wait of unknown length is said
_BETWEEN = 9.0
_WORTH_SAYING = 1.0
_MOST_KEPT = 500
# What a configuration says beside the programs that it needs.
_NOT_COMPILED = ("name", "seed", "log", "checkpoint", "eval", "schedule", "teachers")


@contextlib.contextmanager
def waiting(
    what: str, program: str = "", *, tell: Callable[[str], None] | None = say
) -> Iterator[None]:
    """Says that something is going on, and every few seconds that it still is.

    Args:
        what: "compiling the training step".
        program: :func:`program_key` of what is compiled: it is said at once, and how long it took
            when it was last; "": anything else, said only if it takes long.
        tell: prints a line; None: nobody speaks.
    """
    if tell is None:
        yield
        return
    before = _remembered().get(f"{what}: {program}") if program else None
    known = f" (the last time {before:.0f} s)" if before and before > _WORTH_SAYING else ""
    if program:
        tell(f"{what}{known}")
    began, ended = time.monotonic(), threading.Event()

    def repeat() -> None:
        pause = _BETWEEN if program else _SILENCE
        while not ended.wait(pause):
            tell(f"{what}: {time.monotonic() - began:.0f} s so far{known}")
            pause = _BETWEEN

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    seconds = time.monotonic() - began
    if program:
        if seconds > _WORTH_SAYING:
            tell(f"{what} took {seconds:.1f} s")
        _remember(f"{what}: {program}", seconds)


def program_key(config: Mapping[str, Any], device: str, count: int) -> str:
    """Names the programs of a configuration: equal where they are, for all that is known.

    Args:
        config: as nested dicts.
        device: kind of the devices.
        count: their number.
    """
    kept: dict[str, Any] = {k: v for k, v in config.items() if k not in _NOT_COMPILED}
    for section, key in (("train", "total_epochs"), ("train", "total_steps"), ("data", "data_dir")):
        if section in kept:
            kept[section] = {k: v for k, v in kept[section].items() if k != key}
    text = json.dumps([kept, device, count], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _file() -> Path:
    """Beside the compiled programs, whose presence shortens the next time."""
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    return (cache_folder() if not folder or "://" in folder else Path(folder)) / "seconds.json"


def _remembered() -> dict[str, float]:
    try:
        found = read_json(_file())
    except (InputError, OSError, RuntimeError):  # none, damaged, or there is no home
        return {}
    return {k: float(v) for k, v in found.items() if isinstance(v, int | float)}


def _remember(key: str, seconds: float) -> None:
    with contextlib.suppress(WriteError, OSError, RuntimeError):
        kept = {k: v for k, v in _remembered().items() if k != key}
        newest = list(kept.items())[1 - _MOST_KEPT :]
        write_json(_file(), {**dict(newest), key: round(seconds, 1)})

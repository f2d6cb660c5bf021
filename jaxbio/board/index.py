"""The runs of a folder, looked at again and again: what has not changed is not read again."""

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxbio.board.columns import Columns
from jaxbio.board.course import Course
from jaxbio.board.scorecard import Entry, Found, scorecard
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.listing import Run, find_runs, flat, read_run

_BUDGET = 0.1  # seconds of reading metrics per look; the rest waits for the next
# Where and how a run executes; two runs that differ in these only, or in their seed, are repeats.
_NOT_COMPARED = ("name", "seed", "data.data_dir", "data.num_threads", "data.prefetch")
_NOT_COMPARED_SECTIONS = ("log.", "mesh.")
_LOOKED_AT = ("config.json", "results.json", "metrics.jsonl", "evaluation", "report", "checkpoints")


class NotFoundError(InputError):
    """A name that the folder does not hold."""


@dataclass(frozen=True)
class Seen:
    """A run at one moment; the same object as long as nothing has changed.

    Attributes:
        run: what its small files say.
        course: its metrics in a few numbers, as far as they have been read.
        values: its configuration by dotted key.
        group: the same for runs that differ in their seed only.
        entries: its scorecard.
        damage: lines about what cannot be read.
        changed: seconds since 1970 of the newest of its files.
    """

    run: Run
    course: Course
    values: Mapping[str, Any]
    group: str
    entries: list[Entry]
    damage: list[str]
    changed: float


class Index:
    """The runs below a folder.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: Path):
        find_runs(folder)
        self.folder = folder
        self._lock = threading.Lock()
        self._files: dict[Path, tuple[Any, dict[str, Any]]] = {}
        self._courses: dict[str, Course] = {}
        self._columns: dict[str, Columns] = {}  # of runs that were opened
        self._facts_of: dict[str, tuple[Any, dict[str, Any], str]] = {}
        self._seen: dict[str, tuple[Any, Seen]] = {}

    def look(self, seconds: float = _BUDGET) -> tuple[dict[str, Seen], bool]:
        """All runs now, by name; and whether there are metrics that have not been read yet.

        Raises:
            InputError: the folder has gone.
        """
        with self._lock:
            paths = find_runs(self.folder)
            self._courses = {
                name: self._courses.get(name) or Course(path / "metrics.jsonl")
                for name, path in paths.items()
            }
            self._seen = {name: seen for name, seen in self._seen.items() if name in paths}
            waiting = self._read_courses(time.monotonic() + seconds)
            return {name: self._see(name, path) for name, path in paths.items()}, waiting

    def names(self) -> dict[str, Path]:
        """The run directories by name.

        Raises:
            InputError: the folder has gone.
        """
        return find_runs(self.folder)

    def path(self, name: Any) -> Path:
        """The run directory of a name, whatever a request gives for one.

        Raises:
            NotFoundError: there is none.
        """
        paths = self.names()
        if not isinstance(name, str) or name not in paths:
            raise NotFoundError(f"there is no run '{name}' (any more)")
        return paths[name]

    def open(self, name: str) -> tuple[Seen, Columns]:
        """One run, with all of its metrics.

        Raises:
            NotFoundError: there is none of that name.
        """
        with self._lock:
            path = self.path(name)
            course = self._courses.setdefault(name, Course(path / "metrics.jsonl"))
            columns = self._columns.setdefault(name, Columns(path / "metrics.jsonl"))
            for reading in (course, columns):
                while reading.read():
                    pass
            self._seen.pop(name, None)
            return self._see(name, path), columns

    def _read_courses(self, end: float) -> bool:
        for name, course in self._courses.items():
            while course.waiting:
                if time.monotonic() > end:
                    return True
                self._seen.pop(name, None)
                course.read()
        return False

    def _see(self, name: str, path: Path) -> Seen:
        signature = _signature(path)
        known = self._seen.get(name)
        # Whether a run goes on is seen by the clock, not by its files.
        if known and known[0] == signature and known[1].run.state in ("finished", "weights"):
            return known[1]
        run = read_run(name, path, self._read)
        if known and known[0] == signature and known[1].run == run:
            return known[1]
        values, group = self._facts(run)
        found, damage = self._evaluations(path)
        entries, more = scorecard(run, _changed(path / "results.json"), found)
        damage = [*([run.damage] if run.damage else []), *damage, *more]
        course = self._courses[name]
        if course.damaged:
            damage.append("metrics.jsonl has damaged lines, which are left out")
        changed = max((time for time, _ in signature), default=0) / 1e9
        seen = Seen(run, course, values, group, entries, damage, changed)
        self._seen[name] = signature, seen
        return seen

    def _facts(self, run: Run) -> tuple[dict[str, Any], str]:
        """The configuration by key, and the group; made once for each record."""
        known = self._facts_of.get(run.name)
        if known is None or known[0] is not run.config:
            values = flat(run.config)
            compared = {
                key: value
                for key, value in values.items()
                if key not in _NOT_COMPARED and not key.startswith(_NOT_COMPARED_SECTIONS)
            }
            data = json.dumps([compared or run.name, run.resolved.get("data")], sort_keys=True)
            digest = hashlib.blake2b(data.encode(), digest_size=8).hexdigest()
            known = self._facts_of[run.name] = run.config, values, digest
        return known[1], known[2]

    def _evaluations(self, path: Path) -> tuple[list[Found], list[str]]:
        found: list[Found] = []
        damage = []
        for file in sorted((path / "evaluation").glob("*.json")):
            try:
                found.append((file.stem, _changed(file), self._read(file)))
            except InputError as error:
                damage.append(str(error))
        return found, damage

    def _read(self, file: Path) -> dict[str, Any]:
        try:
            about = file.stat()
        except OSError:
            return read_json(file)  # says what is wrong
        signature = about.st_mtime_ns, about.st_size, about.st_ino
        known = self._files.get(file)
        if known is None or known[0] != signature:
            known = self._files[file] = signature, read_json(file)
        return known[1]


def _signature(path: Path) -> list[tuple[int, int]]:
    """Times and sizes of all that a row depends on; files are replaced, so folders change too."""
    found = []
    for name in _LOOKED_AT:
        with contextlib.suppress(OSError):
            about = os.stat(f"{path}/{name}")
            found.append((about.st_mtime_ns, about.st_size))
    return found


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0

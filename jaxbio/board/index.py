"""The runs of a folder, looked at again and again: what has not changed is not read again."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxbio.board.columns import Columns
from jaxbio.board.scorecard import Entry, Found, scorecard
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.listing import JUDGED_BY, Run, find_runs, flat, read_run

_BUDGET = 0.1  # seconds of reading metrics per look; the rest waits for the next
_SPARK_POINTS = 40
_SPARKS = (*(f"test/{key}" for key in JUDGED_BY), "train/loss", "train/spikes")
_NOT_KEYS = ("name", "task")  # columns of their own
# Where and how a run executes; two runs that differ in these only, or in their seed, are repeats.
_NOT_COMPARED = ("name", "log", "data.data_dir", "data.num_threads", "data.prefetch", "mesh")


@dataclass(frozen=True)
class Seen:
    """A run at one moment.

    Attributes:
        run: what its small files say.
        columns: its metrics, as far as they have been read.
        values: its configuration by dotted key, as text.
        group: the same for runs that differ in their seed only.
        entries: its scorecard.
        damage: lines about what cannot be read.
        changed: seconds since 1970 of the newest of its files.
    """

    run: Run
    columns: Columns
    values: Mapping[str, str]
    group: str
    entries: list[Entry]
    damage: list[str]
    changed: float


class Index:
    """The runs below a folder.

    Args:
        folder: of the runs.

    Raises:
        InputError: no such folder.
    """

    def __init__(self, folder: Path):
        find_runs(folder)
        self.folder = folder
        self._lock = threading.Lock()
        self._files: dict[Path, tuple[Any, dict[str, Any]]] = {}
        self._columns: dict[str, Columns] = {}
        self._values: dict[str, tuple[Any, dict[str, str], str]] = {}

    def look(self, seconds: float = _BUDGET) -> tuple[dict[str, Seen], bool]:
        """All runs now, by name; and whether there are metrics that have not been read yet.

        Args:
            seconds: for reading metrics.

        Raises:
            InputError: the folder has gone.
        """
        with self._lock:
            paths = find_runs(self.folder)
            self._columns = {
                name: self._columns.get(name) or Columns(path / "metrics.jsonl")
                for name, path in paths.items()
            }
            waiting = self._read_metrics(time.monotonic() + seconds)
            return {name: self._see(name, path) for name, path in paths.items()}, waiting

    def names(self) -> dict[str, Path]:
        """The run directories by name.

        Raises:
            InputError: the folder has gone.
        """
        return find_runs(self.folder)

    def open(self, name: str) -> Seen:
        """One run, with all of its metrics.

        Raises:
            InputError: there is none of that name.
        """
        with self._lock:
            path = find_runs(self.folder).get(name)
            if path is None:
                raise InputError(f"there is no run '{name}' below {self.folder} (any more)")
            columns = self._columns.setdefault(name, Columns(path / "metrics.jsonl"))
            while columns.read():
                pass
            return self._see(name, path)

    def _read_metrics(self, end: float) -> bool:
        waiting = [columns for columns in self._columns.values() if columns.waiting]
        for number, columns in enumerate(waiting):
            while columns.read():
                if time.monotonic() > end:
                    return True
            if time.monotonic() > end:
                return number + 1 < len(waiting)
        return False

    def _see(self, name: str, path: Path) -> Seen:
        run = read_run(name, path, self._read)
        columns = self._columns[name]
        values, group = self._facts(run)
        found, damage = self._evaluations(path)
        entries, more = scorecard(run, _changed(path / "results.json"), found)
        damage = [*([run.damage] if run.damage else []), *damage, *more]
        if columns.damaged:
            damage.append(f"{columns.damaged} lines of metrics.jsonl are damaged and left out")
        files = ("config.json", "metrics.jsonl", "results.json", "evaluation", "report")
        changed = max(_changed(path / file) for file in files)
        return Seen(run, columns, values, group, entries, damage, changed)

    def _facts(self, run: Run) -> tuple[dict[str, str], str]:
        """The configuration as text, and the group; made once for each record."""
        known = self._values.get(run.name)
        if known is None or known[0] is not run.config:
            values = {key: json.dumps(value) for key, value in flat(run.config).items()}
            compared = {k: v for k, v in values.items() if not k.startswith(_NOT_COMPARED)}
            compared.pop("seed", None)
            data = json.dumps([compared or run.name, run.resolved.get("data")], sort_keys=True)
            known = run.config, values, hashlib.blake2b(data.encode(), digest_size=8).hexdigest()
            self._values[run.name] = known
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


def table(seen: Mapping[str, Seen], waiting: bool) -> dict[str, Any]:
    """Rows of all runs: what differs between them, what was measured, and sparklines.

    Args:
        seen: of :meth:`Index.look`.
        waiting: of the same.

    Returns:
        JSON: ``runs``, ``keys`` that differ, ``measures`` by id, and ``reading``.
    """
    keys = _differing(seen)
    entries = [entry for one in seen.values() for entry in one.entries]
    return {
        "runs": [_row(one, keys) for one in seen.values()],
        "keys": keys,
        "measures": {e.id: {"title": e.title, "section": e.section} for e in entries},
        "reading": waiting,
    }


def _differing(seen: Mapping[str, Seen]) -> list[str]:
    values: dict[str, set[str]] = {}
    for one in seen.values():
        for key, value in one.values.items():
            values.setdefault(key, set()).add(value)
    return sorted(key for key, found in values.items() if len(found) > 1 and key not in _NOT_KEYS)


def _row(one: Seen, keys: list[str]) -> dict[str, Any]:
    run = one.run
    steps = [step for step in (run.step, run.results.get("step"), one.columns.last_step) if step]
    return {
        "name": run.name,
        "state": run.state,
        "damage": one.damage,
        "task": run.task,
        "data": run.data,
        "model": run.model,
        "step": max(steps, default=None),
        "total": run.resolved.get("steps"),
        "speed": one.columns.latest("train/images_per_s"),
        "changed": round(one.changed),
        "score": run.score,
        "group": one.group,
        "keys": {key: one.values[key] for key in keys if key in one.values},
        "spark": _spark(one.columns),
        "measures": {
            e.id: {k: v for k, v in asdict(e).items() if k not in ("id", "title", "section")}
            for e in one.entries
        },
    }


def _spark(columns: Columns) -> dict[str, Any] | None:
    """The course of the number that the run is judged by, or of its loss before there are tests."""
    for name in _candidates(columns):
        series = columns.series[name]
        if len(series.steps) > 1:
            _, values = series.between(0, series.steps[-1], _SPARK_POINTS)
            return {"of": name, "values": [float(f"{value:.4g}") for value in values]}
    return None


def _candidates(columns: Columns) -> Iterator[str]:
    yield from (name for name in _SPARKS if name in columns.series)


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0

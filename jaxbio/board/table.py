"""The table of all runs as JSON: what differs between them, what was measured, how they go."""

import threading
from collections.abc import Mapping
from typing import Any

from jaxbio.board.index import Index, Seen
from jaxbio.board.text import to_json

_NOT_KEYS = ("name", "task")  # columns of their own


class Table:
    """The rows of a folder, made anew only where something has changed."""

    def __init__(self, index: Index):
        self._index = index
        self._lock = threading.Lock()
        self._keys: tuple[list[int], list[str]] = [], []
        self._rows: dict[str, tuple[Any, str]] = {}

    def json(self, about: Mapping[str, Any], seconds: float | None = None) -> str:
        """The whole table, after so many ``seconds`` of reading metrics; None: the usual.

        Returns:
            JSON with ``runs``, ``keys`` that differ, ``measures`` by id, ``reading``: whether
            there are metrics that have not been read yet, and the entries of ``about``.

        Raises:
            InputError: the folder has gone.
        """
        seen, waiting = self._index.look() if seconds is None else self._index.look(seconds)
        with self._lock:
            keys = self._differing(seen)
            rows = [self._row(one, keys) for one in seen.values()]
            self._rows = {name: row for name, row in self._rows.items() if name in seen}
        entries = [entry for one in seen.values() for entry in one.entries]
        measures = {e.id: {"title": e.title, "section": e.section} for e in entries}
        rest = to_json({**about, "keys": keys, "measures": measures, "reading": waiting})
        return f'{rest[:-1]},"runs":[{",".join(rows)}]}}'

    def _differing(self, seen: Mapping[str, Seen]) -> list[str]:
        """Keys whose values are not the same in all runs that have them."""
        marks = [id(one.values) for one in seen.values()]
        if marks != self._keys[0]:
            first: dict[str, Any] = {}
            found = set()
            for one in seen.values():
                for key, value in one.values.items():
                    if first.setdefault(key, value) != value:
                        found.add(key)
            self._keys = marks, sorted(found - set(_NOT_KEYS))
        return self._keys[1]

    def _row(self, one: Seen, keys: list[str]) -> str:
        known = self._rows.get(one.run.name)
        if known is None or known[0][0] is not one or known[0][1] is not keys:
            known = self._rows[one.run.name] = (one, keys), to_json(_row(one, keys))
        return known[1]


def _row(one: Seen, keys: list[str]) -> dict[str, Any]:
    run, course = one.run, one.course
    steps = [step for step in (run.step, run.results.get("step"), course.step) if step]
    return {
        "name": run.name,
        "state": run.state,
        "damage": one.damage,
        "task": run.task,
        "data": run.data,
        "model": run.model,
        "step": max(steps, default=None),
        "total": run.resolved.get("steps"),
        "speed": course.speed,
        "changed": round(one.changed),
        "score": run.score,
        "group": one.group,
        "keys": {key: one.values[key] for key in keys if key in one.values},
        "spark": course.sparkline(),
        "measures": {
            e.id: {k: v for k, v in vars(e).items() if k not in ("id", "title", "section")}
            for e in one.entries
        },
    }

"""Measures a table row by row: resumable, within a budget of time."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxbio.errors import InputError, WriteError
from jaxbio.files import write_json
from jaxbio.reproduce.page import command, write_report
from jaxbio.reproduce.table import Context, Measured, OutOfTimeError, Row, Table, missing, verdict
from jaxbio.runs.progress import say

_FILE = "results.json"
PENDING = "not measured yet"


def measure_table(name: str, table: Table, context: Context) -> list[dict[str, Any]]:
    """Measures the rows that are not measured yet; writes ``results.json`` after each, and a page.

    Returns:
        The contents of ``results.json``: an entry per row, measured or not.

    Raises:
        InputError: ``results.json`` is damaged, or the output folder is not writable.
    """
    rows = table.rows(context)
    note = f"to measure: {command(name, context)}"
    pending = Measured(None, verdict=PENDING, note=note)
    results = {row.name: _entry(row, pending, context, 0.0) for row in rows}
    known = _read(context)
    for row in rows:
        entry = known.get(row.name, {})
        if entry.get("measured") is not None and entry.get("settings") == _settings(row, context):
            results[row.name] = _judged_anew(entry, row, context)
    _write(context, results)
    for row in rows:
        if results[row.name]["measured"] is None:
            results[row.name] = _measure(row, table, context) or results[row.name]
            _write(context, results)
        if results[row.name]["verdict"] != PENDING:
            say(_line(results[row.name]))
    entries = list(results.values())
    if left := sum(entry["verdict"] == PENDING for entry in entries):
        say(
            f"the budget is spent: {left} of {len(rows)} rows are not measured; repeat the "
            "command to go on"
        )
    write_report(context.output / "report.html", name, table, entries, context)
    return entries


@contextmanager
def stopping_at(context: Context) -> Iterator[None]:
    """Asks a training to save and stop when the budget is spent, as SIGTERM does."""
    left = context.left()
    if context.deadline is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    ended = threading.Event()

    def remind() -> None:
        # Again and again: it may have to be said before the training listens.
        while not ended.wait(max(context.left(), 1.0)):
            signal.raise_signal(signal.SIGTERM)

    def handle(number: int, frame: Any) -> None:
        if context.left() > 0:  # somebody else's
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(number)

    if left <= 0:
        raise OutOfTimeError
    before = signal.signal(signal.SIGTERM, handle)
    watcher = threading.Thread(target=remind, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGTERM, before)


def trained(config: ConfigDict, name: str, context: Context) -> tuple[dict[str, Any], Path]:
    """Trains in ``runs/NAME`` of the output as long as the budget allows, or finds it trained.

    Returns:
        The results, and the run directory.

    Raises:
        OutOfTimeError: the budget was spent before its end.
    """
    from jaxbio.tasks.loop import train

    run = context.output / "runs" / name
    with stopping_at(context):
        results = train(config, str(run))
    if results is None:
        raise OutOfTimeError
    return results, run


def _measure(row: Row, table: Table, context: Context) -> dict[str, Any] | None:
    """A row's entry, or why it has no value; None: out of time."""
    needed = () if context.dry_run else (*table.needs, *row.needs)
    lacking = missing(needed, context.data)
    if lacking:
        text = "; ".join(need.missing() for need in lacking)
        return _entry(row, Measured(None, verdict="data missing", note=text), context, 0.0)
    if context.left() <= 0:
        return None
    began = time.monotonic()
    try:
        measured = table.measure(row, context)
    except OutOfTimeError:
        return None
    except WriteError:
        raise
    except InputError as error:
        text = " ".join(str(error).split())
        measured = Measured(None, verdict="not measurable", note=text)
    return _entry(row, measured, context, time.monotonic() - began)


def _entry(row: Row, measured: Measured, context: Context, seconds: float) -> dict[str, Any]:
    judged = measured.verdict
    if not judged and measured.value is not None:
        judged = verdict(row, measured.value)
    if context.dry_run:
        judged = "synthetic data: no verdict" if measured.value is not None else judged
    return {
        "name": row.name,
        "configuration": row.configuration,
        **_published(row),
        "measured": measured.value,
        "error": measured.error,
        "interval": measured.interval,
        "verdict": judged,
        "note": measured.note,
        "seconds": round(seconds, 1),
        "settings": _settings(row, context),
        **measured.more,
    }


def _published(row: Row) -> dict[str, Any]:
    first = row.published[0] if row.published else None
    return {
        "published": None if first is None else first.value,
        "published_error": None if first is None else first.spread,
        "published_all": [vars(one) for one in row.published],
        "published_text": row.published_text(),
        "tolerance": row.tolerance,
        "rule": row.rule,
    }


def _judged_anew(entry: dict[str, Any], row: Row, context: Context) -> dict[str, Any]:
    """What was measured before, beside the published values of today."""
    now = _published(row)
    judged = ("published_all", "tolerance", "rule")
    if context.dry_run or all(entry.get(key) == now[key] for key in judged):
        return {**entry, **now}
    return {**entry, **now, "verdict": verdict(row, entry["measured"])}


def _settings(row: Row, context: Context) -> dict[str, Any]:
    """A measured row is taken over where these are the same."""
    return {"configuration": row.configuration, "seeds": context.seeds, "dry_run": context.dry_run}


def _read(context: Context) -> dict[str, dict[str, Any]]:
    file = context.output / _FILE
    if not file.exists():
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return {entry["name"]: entry for entry in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file} is damaged ({error}): remove it, then repeat") from error


def _write(context: Context, results: dict[str, dict[str, Any]]) -> None:
    write_json(context.output / _FILE, list(results.values()))


def _line(entry: dict[str, Any]) -> str:
    if entry["measured"] is None:
        return f"{entry['name']}: {entry['verdict']}: {entry['note']}"
    error = "" if entry["error"] is None else f" +- {entry['error']:.4f}"
    ours = f"{entry['measured']:.4f}{error}"
    return f"{entry['name']}: {ours} (published {entry['published_text']}): {entry['verdict']}"

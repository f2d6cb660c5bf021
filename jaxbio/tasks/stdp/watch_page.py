"""The page that shows a training run: what its files say now, as HTML."""

import html
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.html import document, html_table
from jaxbio.runs.metrics import MetricsReader
from jaxbio.runs.svg import Series, line_chart
from jaxbio.spiking.settings import READOUTS
from jaxbio.tasks.config import restored_config
from jaxbio.tasks.stdp.registry import Entry
from jaxbio.tasks.stdp.results import grid_points, search_table

_REFRESH_SECONDS = 3
_SILENCE = 120.0  # seconds without a line after which a run may have stopped
_SHOWN = 2000  # lines; more than there are pixels is of no use
_DAY = 86400

Rows = Sequence[tuple[str, ...]]

_SCRIPT = f"""
async function refresh() {{
  const note = document.getElementById("note");
  try {{
    const reply = await fetch("/content");
    const text = await reply.text();
    note.textContent = reply.ok ? "" : text;
    if (reply.ok) document.getElementById("content").innerHTML = text;
  }} catch (error) {{
    note.textContent = "no answer: has the watch command ended?";
  }}
}}
setInterval(refresh, {1000 * _REFRESH_SECONDS});
"""

_STYLE = """
svg { margin: .5rem .5rem 0 0 } .map { max-width: 34rem } #note, .damage { color: #b00 }
"""


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        name: of the network.
        config: of the run, in today's keys.
        results: of the finished run; empty before.
        train: lines of ``metrics.jsonl`` about training, no more than a chart shows.
        tests: lines about tests.
        silent: seconds since something was written.
        map_version: changes with ``report/weights.png``; None where there is none yet.
        damage: what cannot be read, a line each.
    """

    name: str
    config: ConfigDict
    results: dict[str, Any]
    train: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    silent: float
    map_version: int | None
    damage: list[str]


class View:
    """A run that is looked at again and again.

    Args:
        entry: of :func:`jaxbio.tasks.stdp.registry.find_network`.
    """

    def __init__(self, entry: Entry):
        self._entry = entry
        self._config = restored_config(read_json(entry.run.config_file))
        self._metrics = MetricsReader(entry.run.metrics_file)
        self._metrics.lines()  # what there is takes longer than what comes
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """Reads what the run has written so far.

        Raises:
            InputError: the run directory is gone.
        """
        run, damage, results = self._entry.run, [], {}
        with self._lock:
            lines, bad = self._metrics.lines(), self._metrics.damaged
        if bad:
            damage.append(f"{bad} lines of {run.metrics_file} are damaged and left out")
        try:
            read_json(run.config_file)
            results = run.results() or {}
        except InputError as error:
            damage.append(str(error))
        try:
            newest = max(
                file.stat().st_mtime
                for file in (run.config_file, run.metrics_file)
                if file.is_file()
            )
            picture = weight_map(self._entry)
            version = picture.stat().st_mtime_ns if picture.is_file() else None
        except (OSError, ValueError) as error:
            raise InputError(f"{run.path} is gone: renamed or deleted?") from error
        return Snapshot(
            name=self._entry.name,
            config=self._config,
            results=results,
            train=_thinned([line for line in lines if line["split"] == "train"]),
            tests=_thinned([line for line in lines if line["split"] == "test"]),
            silent=max(0.0, time.time() - newest),
            map_version=version,
            damage=damage,
        )


def weight_map(entry: Entry) -> Path:
    """The picture that training draws anew every few seconds."""
    return entry.run.path / "report" / "weights.png"


def _thinned(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return lines[::-1][:: len(lines) // _SHOWN + 1][::-1]  # the newest is always shown


def page(snapshot: Snapshot) -> str:
    """The whole page; a script replaces its content every few seconds. It loads nothing else."""
    return document(
        f"Spiking network {snapshot.name}",
        f'<p id="note"></p><div id="content">{content(snapshot)}</div><script>{_SCRIPT}</script>',
        style=_STYLE,
        head=f'<noscript><meta http-equiv="refresh" content="{_REFRESH_SECONDS}"></noscript>',
    )


def content(snapshot: Snapshot) -> str:
    """Status, curves, weight map, accuracies and parameters."""
    parts = [f"<p>{html.escape(status(snapshot))}</p>"]
    damage = list(snapshot.damage)
    try:
        tables = _tables(snapshot.results, snapshot.tests)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        tables = {}
        damage.append("results.json holds no results")
    parts += [f'<p class="damage">DAMAGED: {html.escape(text)}</p>' for text in damage]
    parts += _charts(snapshot)
    if snapshot.map_version is None:
        parts.append("<p>No weight map yet: it is drawn every ten seconds.</p>")
    else:
        parts.append(
            f'<figure><img class="map" alt="weights from X to Y" '
            f'src="/weights.png?v={snapshot.map_version}"></figure>'
        )
    tables["Parameters"] = _parameters(snapshot.config)
    parts += [f"<h2>{title}</h2>{html_table(rows)}" for title, rows in tables.items()]
    return "".join(parts)


def status(snapshot: Snapshot) -> str:
    """One line: how far the run is, how fast, and whether it goes on."""
    spiking = snapshot.config.spiking
    total, step = spiking.train_images, snapshot.train[-1]["step"] if snapshot.train else 0
    done = step * spiking.images_per_step
    words = [f"{done} of {total} images"]
    _, speeds = _series(snapshot.train, "images_per_s")
    if speeds:
        words.append(f"{speeds[-1]:.1f} images/s")
    if snapshot.results:
        return ", ".join(["finished", *words])
    if snapshot.silent > _SILENCE:
        minutes = f"{snapshot.silent / 60:.0f} min"
        return ", ".join([f"no news for {minutes}: testing, or stopped", *words])
    if speeds and speeds[-1] > 0:
        seconds = min(max(0.0, total - done) / speeds[-1], _DAY - 1)
        words.append(f"ETA {time.strftime('%H:%M:%S', time.gmtime(seconds))}")
    return ", ".join(["running", *words])


def _series(lines: list[dict[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and finite numbers of the lines that have some under a key."""
    points = [(line["step"], line[key]) for line in lines if isinstance(line.get(key), int | float)]
    points = [(step, float(y)) for step, y in points if abs(y) < 1e300]
    return [step for step, _ in points], [y for _, y in points]


def _charts(snapshot: Snapshot) -> list[str]:
    chunk = snapshot.config.spiking.images_per_step

    def series(lines: list[dict[str, Any]], key: str, scale: float = 1.0) -> Series:
        steps, values = _series(lines, key)
        return [step * chunk for step in steps], [scale * value for value in values]

    charts = [
        line_chart({title: series(snapshot.train, key)}, title, "images")
        for key, title in (
            ("spikes", "spikes per image"),
            ("theta", "mean rise of the threshold (mV)"),
            ("images_per_s", "images per second"),
        )
    ]
    accuracies = {name: series(snapshot.tests, f"{name}_accuracy", 100.0) for name in READOUTS}
    return [*charts, line_chart(accuracies, "test accuracy (%)", "images", marked=True)]


def _tables(results: dict[str, Any], tests: list[dict[str, Any]]) -> dict[str, Rows]:
    """The grid of a population; accuracies of the newest test, with errors of a finished run."""
    tables: dict[str, Rows] = {}
    if "population" in results:
        tables["Population"] = search_table(grid_points(results["population"]))
    rows = [("readout", "accuracy %", "+- %")]
    finished = results.get("readouts", {})
    for name in READOUTS:
        _, measured = _series(tests, f"{name}_accuracy")
        if name in finished:
            one = finished[name]
            rows.append((name, f"{100 * one['accuracy']:.2f}", f"{100 * one['error']:.2f}"))
        elif measured:
            rows.append((name, f"{100 * measured[-1]:.2f}", "-"))
    if len(rows) > 1:
        tables["Accuracies"] = rows
    return tables


def _parameters(config: ConfigDict) -> Rows:
    rows = [("seed", str(config.seed)), ("data", str(config.data.source))]
    rows += [(f"population.{key}", str(value)) for key, value in config.population.items() if value]
    return [("parameter", "value"), *rows, *((k, str(v)) for k, v in config.spiking.items())]

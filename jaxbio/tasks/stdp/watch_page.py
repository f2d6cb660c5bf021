"""The page that shows a training run: what its files say now, as HTML."""

import html
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.html import document, html_table
from jaxbio.runs.metrics import read_metrics
from jaxbio.runs.svg import line_chart
from jaxbio.spiking.settings import READOUTS
from jaxbio.tasks.config import restored_config
from jaxbio.tasks.stdp.registry import Entry
from jaxbio.tasks.stdp.results import grid_points, search_table

_REFRESH_SECONDS = 3
_SILENCE = 120.0  # seconds without a line after which a run may have stopped

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
svg { margin: .5rem .5rem 0 0 } .map { max-width: 34rem } #note { color: #b00 }
"""


@dataclass(frozen=True)
class Snapshot:
    """A run at one moment.

    Attributes:
      name: of the network.
      config: of the run, in today's keys.
      results: of the finished run; empty before.
      train: lines of ``metrics.jsonl`` about training.
      tests: lines about tests.
      silent: seconds since something was written.
      map_version: changes with ``report/weights.png``; None where there is none yet.
    """

    name: str
    config: ConfigDict
    results: dict[str, Any]
    train: list[dict[str, Any]]
    tests: list[dict[str, Any]]
    silent: float
    map_version: int | None


def weight_map(entry: Entry) -> Path:
    """The picture that training draws anew every few seconds."""
    return entry.run.path / "report" / "weights.png"


def read_snapshot(entry: Entry) -> Snapshot:
    """Reads what a run has written so far.

    Raises:
      InputError: the run directory is gone, or a file in it cannot be read.
    """
    run = entry.run
    lines = read_metrics(run.metrics_file)
    picture = weight_map(entry)
    try:
        newest = max(
            file.stat().st_mtime for file in (run.config_file, run.metrics_file) if file.is_file()
        )
        version = picture.stat().st_mtime_ns if picture.is_file() else None
    except (OSError, ValueError) as error:
        raise InputError(f"{run.path} is gone: renamed or deleted?") from error
    return Snapshot(
        name=entry.name,
        config=restored_config(read_json(run.config_file)),
        results=run.results() or {},
        train=[line for line in lines if line["split"] == "train"],
        tests=[line for line in lines if line["split"] == "test"],
        silent=max(0.0, time.time() - newest),
        map_version=version,
    )


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
    parts = [f"<p>{html.escape(status(snapshot))}</p>", *_charts(snapshot)]
    if snapshot.map_version is None:
        parts.append("<p>No weight map yet: it is drawn every ten seconds.</p>")
    else:
        parts.append(
            f'<figure><img class="map" alt="weights from X to Y" '
            f'src="/weights.png?v={snapshot.map_version}"></figure>'
        )
    if "population" in snapshot.results:
        rows = search_table(grid_points(snapshot.results["population"]))
        parts.append(f"<h2>Population</h2>{html_table(rows)}")
    accuracies = _accuracies(snapshot)
    if len(accuracies) > 1:
        parts.append(f"<h2>Accuracies</h2>{html_table(accuracies)}")
    parts.append(f"<h2>Parameters</h2>{html_table(_parameters(snapshot.config))}")
    return "".join(parts)


def status(snapshot: Snapshot) -> str:
    """One line: how far the run is, how fast, and whether it goes on."""
    chunk = snapshot.config.spiking.images_per_step
    total = snapshot.config.spiking.train_images
    done = snapshot.train[-1]["step"] * chunk if snapshot.train else 0
    words = [f"{done} of {total} images"]
    if snapshot.train:
        speed = snapshot.train[-1]["images_per_s"]
        words.append(f"{speed:.1f} images/s")
    if snapshot.results:
        return ", ".join(["finished", *words])
    if snapshot.silent > _SILENCE:
        minutes = f"{snapshot.silent / 60:.0f} min"
        return ", ".join([f"no news for {minutes}: testing, or stopped", *words])
    if snapshot.train:
        left = time.strftime("%H:%M:%S", time.gmtime((total - done) / max(speed, 1e-9)))
        words.append(f"ETA {left}")
    return ", ".join(["running", *words])


def _charts(snapshot: Snapshot) -> list[str]:
    chunk = snapshot.config.spiking.images_per_step
    images = [line["step"] * chunk for line in snapshot.train]
    charts = [
        line_chart({title: (images, [line[key] for line in snapshot.train])}, title, "images")
        for key, title in (
            ("spikes", "spikes per image"),
            ("theta", "mean rise of the threshold (mV)"),
            ("images_per_s", "images per second"),
        )
    ]
    accuracies = {}
    for name in READOUTS:
        tests = [line for line in snapshot.tests if f"{name}_accuracy" in line]
        accuracies[name] = (
            [line["step"] * chunk for line in tests],
            [100 * line[f"{name}_accuracy"] for line in tests],
        )
    return [*charts, line_chart(accuracies, "test accuracy (%)", "images", marked=True)]


def _accuracies(snapshot: Snapshot) -> list[tuple[str, ...]]:
    """Of the newest test; errors are known of a finished run only."""
    rows = [("readout", "accuracy %", "+- %")]
    finished = snapshot.results.get("readouts", {})
    newest = snapshot.tests[-1] if snapshot.tests else {}
    for name in READOUTS:
        if name in finished:
            one = finished[name]
            rows.append((name, f"{100 * one['accuracy']:.2f}", f"{100 * one['error']:.2f}"))
        elif f"{name}_accuracy" in newest:
            rows.append((name, f"{100 * newest[f'{name}_accuracy']:.2f}", "-"))
    return rows


def _parameters(config: ConfigDict) -> Sequence[tuple[str, ...]]:
    rows = [("seed", str(config.seed)), ("data", config.data.source)]
    population = config.population.items()
    rows += [(f"population.{key}", str(value)) for key, value in population if value]
    return [("parameter", "value"), *rows, *((k, str(v)) for k, v in config.spiking.items())]

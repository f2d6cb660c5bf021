"""The mode ``similarity``: a model's layers against recordings."""

import zlib
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.measures.brain import Brain, brains
from jaxbio.measures.layer_activity import Place, layer_activity
from jaxbio.measures.publishing import publish
from jaxbio.measures.scores import MEASURES, Ceiling, Score, choose_measures
from jaxbio.measures.similarity_report import write_html
from jaxbio.neural import Recordings
from jaxbio.runs.progress import format_table
from jaxbio.tasks.classification.opened import Session

BINS = ("mean", "all")


def report_similarity(
    session: Session,
    recordings: Recordings,
    *,
    layers: Sequence[str] = ("all",),
    times: Sequence[str] = ("all",),
    measures: Sequence[str] = (),
    bins: str = "mean",
    max_units: int = 4096,
) -> dict[str, Any]:
    """Scores every layer and time step, prints a table, writes JSON and an HTML report.

    Args:
      session: the model, opened without data.
      recordings: what it is compared with.
      layers: endpoints, or ``["all"]``.
      times: the model's time steps: ``["all"]``, ``["last"]`` or numbers.
      measures: names; empty: all that the recordings allow.
      bins: ``mean`` over the recordings' time bins, or ``all`` one by one.
      max_units: units sampled of each layer; 0 takes all of them.

    Returns:
      What the JSON file holds.

    Raises:
      InputError: unknown layers, steps or measures, or recordings that do not allow them.
    """
    if bins not in BINS:
        raise InputError(f"--bins={bins}: use {' or '.join(BINS)}")
    if max_units < 0:
        raise InputError(f"--max_units={max_units}: use a number of units, or 0 for all of them")
    data = session.config.data
    compared = brains(recordings, bins, session.config.seed)
    names, remarks = choose_measures(list(measures), compared[0])
    activity = layer_activity(
        session.model,
        session.variables,
        recordings.stimuli.read_images(data.image_size),
        list(layers),
        mean=data.mean,
        std=data.std,
        times=_parse_times(times),
        max_units=max_units,
        seed=session.config.seed,
        mesh=session.mesh,
    )
    rows, ceilings = [], []
    for brain in compared:
        for name in names:
            ceiling = MEASURES[name].ceiling(brain)
            ceilings.append({"bin": brain.name, "measure": name, **_ceiling_entry(ceiling)})
            rows += _rows(brain, name, activity)
    if all(entry["low"] is None for entry in ceilings):
        remarks.append("no noise ceilings: single presentations or subjects are not known")
    key = f"similarity_{recordings.name}"
    result = {
        "run": str(session.run.path),
        "step": session.step,
        "model": session.arguments,
        "recordings": recordings.describe(),
        "synthetic": recordings.synthetic,
        "settings": {
            "bins": bins,
            "max_units": max_units,
            "seed": session.config.seed,
            "image_size": data.image_size,
            "conditions": "objects" if compared[0].has_views else "images",
        },
        "remarks": remarks,
        "ceilings": ceilings,
        "scores": rows,
    }
    if "sit" in names:
        noise = compared[0].noise
        result["settings"]["noise"] = {
            "slope": noise.slope, "offset": noise.offset, "repetitions": noise.repetitions,
        }  # fmt: skip
    if jax.process_index() == 0:
        html = session.run.path / "evaluation" / f"{key}.html"
        write_html(html, result, compared[0], activity)
        table = "\n".join([*_banner(recordings), _table(result), *remarks, f"report: {html}"])
        publish(session, key, result, table)
    return result


def _rows(brain: Brain, name: str, activity: dict[Place, np.ndarray]) -> list[dict[str, Any]]:
    """Scores of all places; equal activities (one layer under two names) are scored once."""
    digests = {place: _digest(x) for place, x in activity.items()}
    first = {digest: place for place, digest in reversed(digests.items())}
    layers = {str(place): activity[place] for place in first.values()}
    scores = MEASURES[name].score(brain, layers)
    return [
        {
            "bin": brain.name,
            "measure": name,
            "layer": place.layer,
            "step": place.step,
            **_score_entry(scores[str(first[digest])]),
        }
        for place, digest in digests.items()
    ]


def _digest(x: np.ndarray) -> tuple[tuple[int, ...], int]:
    return x.shape, zlib.crc32(x.tobytes())


def _score_entry(score: Score) -> dict[str, Any]:
    return {"score": score.value, "low": score.low, "high": score.high, "ceiled": score.ceiled}


def _ceiling_entry(ceiling: Ceiling | None) -> dict[str, Any]:
    if ceiling is None:
        return {"low": None, "high": None, "what": None}
    return {"low": ceiling.low, "high": ceiling.high, "what": ceiling.what}


def _parse_times(values: Sequence[str]) -> str | list[int]:
    if len(values) == 1 and values[0] in ("all", "last"):
        return values[0]
    if not all(value.isdecimal() for value in values):
        raise InputError(f"--times={','.join(values)}: use all, last or step numbers such as 0,2")
    return [int(value) for value in values]


def _banner(recordings: Recordings) -> list[str]:
    if not recordings.synthetic:
        return []
    return [
        "SYNTHETIC recordings: simulated, not measured. These scores say nothing of a brain.",
        "",
    ]


def _table(result: dict[str, Any]) -> str:
    """One line per layer, step and bin; one column per measure: score [interval]."""
    names = list(dict.fromkeys(row["measure"] for row in result["scores"]))
    marks = {name: f"{name} [95 %]" for name in names}
    lines = [("layer", "step", "time bin", *marks.values())]
    cells: dict[tuple, dict[str, str]] = {}
    for row in result["scores"]:
        step = "" if row["step"] is None else str(row["step"])
        text = f"{row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        if row["ceiled"] is not None:
            text += f" ({row['ceiled']:.2f})"
        cells.setdefault((row["layer"], step, row["bin"]), {})[row["measure"]] = text
    lines += [(*key, *(values[name] for name in names)) for key, values in cells.items()]
    for bin_name in dict.fromkeys(entry["bin"] for entry in result["ceilings"]):
        limits = {e["measure"]: _limits(e) for e in result["ceilings"] if e["bin"] == bin_name}
        lines.append(("noise ceiling", "", bin_name, *(limits[name] for name in names)))
    note = "in round brackets: share of the explainable variance, r^2 / ceiling"
    shown = any(row["ceiled"] is not None for row in result["scores"])
    return format_table(lines) + (f"\n{note}" if shown else "")


def _limits(entry: dict[str, Any]) -> str:
    if entry["low"] is None:
        return "unknown"
    if entry["low"] == entry["high"]:
        return f"{entry['low']:.3f}"
    return f"{entry['low']:.3f} to {entry['high']:.3f}"

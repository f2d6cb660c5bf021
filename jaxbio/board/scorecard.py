"""What was measured of a run, each with its interval, ceiling or chance: read from its files.

Every entry has an ``id`` that is the same for runs whose numbers can stand in one column.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jaxbio.ops.intervals import wilson
from jaxbio.runs.listing import Run

_SET_ASIDE = re.compile(r"\.\d+$")  # results of another checkpoint, kept under another name
_Z = 1.959964  # of a 95 % interval
_MODES = {
    "accuracy": "--mode=accuracy",
    "corruptions": "--mode=robustness",
    "attacks": "--mode=attacks",
    "physiology": "--mode=physiology --layer=v1",
    "brain": "--mode=similarity --neural=FILE",
    "behaviour": "--mode=behaviour --stimuli=FOLDER --humans=FILES",
}
SECTIONS = tuple(_MODES)


@dataclass(frozen=True)
class Entry:
    """One number of a scorecard.

    Attributes:
        section: one of ``SECTIONS``.
        id: equal where numbers can be compared.
        title: for people.
        value: larger is better.
        low: end of the 95 % interval; None: not known.
        high: end of the interval.
        interval: what kind of interval it is.
        chance: of guessing; None: there is none.
        ceiling: what the data allows, low and high; None: not known.
        note: what to know of it.
        synthetic: compared with simulated recordings.
        step: of the checkpoint.
        date: when it was measured, seconds since 1970.
    """

    section: str
    id: str
    title: str
    value: float
    low: float | None = None
    high: float | None = None
    interval: str = ""
    chance: float | None = None
    ceiling: tuple[float, float] | None = None
    note: str = ""
    synthetic: bool = False
    step: int | None = None
    date: float = 0.0


Found = tuple[str, float, Mapping[str, Any]]  # stem, date and contents of evaluation/STEM.json


def scorecard(run: Run, date: float, evaluations: list[Found]) -> tuple[list[Entry], list[str]]:
    """The entries of a run in the order of ``SECTIONS``, and a line for each damaged file.

    ``date`` is that of its results, ``evaluations`` are its ``evaluation/*.json``.
    """
    # Readers are generators: what is wrong with a file is raised below.
    sources = [("results.json", date, _of_results(run))] if run.results else []
    for stem, when, content in evaluations:
        if _SET_ASIDE.search(stem):
            continue
        reader = _READERS.get(stem.split("_")[0])
        if reader is not None and not stem.startswith("accuracy_"):  # of a population's members
            sources.append((f"{stem}.json", when, reader(stem, content)))
    entries, damaged = [], []
    for name, when, fields_of in sources:
        try:
            found = [_checked(Entry(**{"date": when, **fields})) for fields in fields_of]
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            damaged.append(f"{name} is not what jaxbio writes ({type(error).__name__}: {error})")
            continue
        entries += found
    by_id = {entry.id: entry for entry in sorted(entries, key=lambda e: e.date)}  # newest wins
    return sorted(by_id.values(), key=lambda e: SECTIONS.index(e.section)), damaged


def blanks(run: Run, entries: list[Entry]) -> list[tuple[str, str]]:
    """Sections without an entry, and the command that fills each; "" where nothing can."""
    filled = {entry.section for entry in entries}
    return [(section, _command(run, section)) for section in SECTIONS if section not in filled]


def _command(run: Run, section: str) -> str:
    if run.task == "stdp" and section != "accuracy":
        return ""  # a network without layers
    return f"jaxbio evaluate {run.path} {_MODES[section]}"


def _checked(entry: Entry) -> Entry:
    numbers = (entry.value, entry.low, entry.high, entry.chance, *(entry.ceiling or ()))
    if not all(n is None or math.isfinite(n) for n in numbers):
        raise ValueError("a number that is not finite")
    return entry


def _of_results(run: Run) -> Iterator[dict[str, Any]]:
    assert run.score is not None
    key, value = run.score
    step = run.results.get("step")
    if run.task == "rdm":
        deviation = run.results.get("similarity_std")
        spread = {} if deviation is None else _normal(value, deviation, "95 % of random draws")
        synthetic = run.data == "synthetic"
        yield {
            "section": "brain", "id": f"rdm/{run.data}", "title": f"held-out RDMs, {run.data}",
            "value": value, **spread, "synthetic": synthetic, "step": step,
            "note": f"fine-tuned on them; before {run.results['similarity_before']:.3f}",
        }  # fmt: skip
        return
    data = run.resolved.get("data", {})
    name, classes = data.get("name", run.data), data.get("num_classes")
    if key == "top1":
        spread = _share(value, run.results["count"])
        note = ""
    else:
        several = len(run.results.get("population", ())) > 1
        what = "SD over networks" if several else "normal, standard error of the test"
        spread = _normal(value, run.results["error"], what)
        note = f"readout {run.config['spiking']['readout']}"
    yield {
        "section": "accuracy", "id": f"accuracy/{name}", "title": f"accuracy, {name}",
        "value": value, **spread, "chance": 1 / classes if classes else None, "step": step,
        "note": note,
    }  # fmt: skip


def _of_accuracy(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name = found["data"]["name"]
    if "top1" in found:
        spread = _share(found["top1"], found["count"])
        value = found["top1"]
    else:
        value = found["accuracy"]
        spread = _normal(value, found["error"], "normal, standard error of the test")
    yield {
        "section": "accuracy", "id": f"accuracy/{name}", "title": f"accuracy, {name}",
        "value": value, **spread, "chance": 1 / found["data"]["num_classes"],
        "step": found["step"],
    }  # fmt: skip


def _of_robustness(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    cells = found["cells"].values()
    if not cells:
        return  # is being measured
    value = sum(cell["top1"] for cell in cells) / len(cells)
    errors = [math.sqrt(c["top1"] * (1 - c["top1"]) / c["count"]) for c in cells]
    name = found["data"]["name"]
    yield {
        "section": "corruptions", "id": f"{stem}/{name}/{len(cells)}",
        "title": f"{stem.replace('_', ' ')}, {name}, mean of {len(cells)} cells", "value": value,
        # The same images in every cell: errors may go together, so they are not divided.
        **_normal(value, sum(errors) / len(errors), "normal, as if cells erred together"),
        "chance": 1 / found["data"]["num_classes"], "step": found["step"],
        "note": f"clean {found['clean']['top1']:.3f}",
    }  # fmt: skip


def _of_attacks(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    name, warnings = found["data"]["name"], found.get("warnings", [])
    for norm, cells in found["accuracy_under_attack"].items():
        for radius, cell in cells.items():
            low, high = cell["interval"]
            yield {
                "section": "attacks", "id": f"{stem}/{norm}/{radius}/{name}",
                "title": f"{stem.removeprefix('attacks_')}, {norm} {_radius(radius)}, {name}",
                "value": cell["accuracy"], "low": low, "high": high, "interval": "Wilson",
                "chance": 1 / found["data"]["num_classes"], "step": found["step"],
                "note": "; ".join(map(str, warnings)),
            }  # fmt: skip


def _radius(radius: str) -> str:
    """In grey levels where it is whole ones: ``4/255``."""
    levels = 255 * float(radius)
    whole = round(levels) and abs(levels - round(levels)) < 1e-3
    return f"{round(levels)}/255" if whole else radius


def _of_physiology(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    last = found["times"][-1]
    scores = [p["score"] for p in last["properties"].values() if p["score"] is not None]
    if not scores:
        return
    value = sum(score["score"] for score in scores) / len(scores)
    error = math.hypot(*(s["error"] / s["ceiling"] for s in scores)) / len(scores)
    yield {
        "section": "physiology", "id": f"{stem}/{len(scores)}",
        "title": f"{found['layer']} as macaque V1, mean of {len(scores)} properties",
        "value": value, **_normal(value, error, "normal, bootstrap over units"),
        "ceiling": (1.0, 1.0), "step": found["step"],
    }  # fmt: skip


def _of_similarity(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    recordings = stem.removeprefix("similarity_")
    for limits in found["ceilings"]:
        where = limits["measure"], limits["bin"]
        rows = [row for row in found["scores"] if (row["measure"], row["bin"]) == where]
        if not rows:
            continue  # is being measured
        best = max(rows, key=lambda row: row["score"])
        at = best["layer"] + ("" if best["step"] is None else f" at step {best['step']}")
        title = " ".join(filter(None, [limits["measure"], limits["bin"]]))
        yield {
            "section": "brain", "id": f"{stem}/{'/'.join(filter(None, where))}",
            "title": f"{title}, {recordings}", "value": best["score"], "low": best["low"],
            "high": best["high"], "interval": "of that layer",
            "ceiling": None if limits["low"] is None else (limits["low"], limits["high"]),
            "synthetic": bool(found["synthetic"]), "step": found["step"],
            "note": f"{at}, the best of {len(rows)}",
        }  # fmt: skip


def _of_behaviour(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    experiment = found["experiment"]
    people = found.get("human_accuracy")
    common = {"section": "behaviour", "step": found["step"]}
    yield {
        **common, "id": f"{stem}/accuracy", "title": f"accuracy, {experiment}",
        "value": found["accuracy"], **_share(found["accuracy"], found["images"]),
        "chance": 1 / 16, "note": "" if people is None else f"people {people:.3f}",
    }  # fmt: skip
    if found.get("error_consistency") is not None:
        among = found.get("human_error_consistency")
        ends: dict[str, Any] = {}
        if known := found.get("intervals", {}).get("error_consistency"):
            ends = {"low": known[0], "high": known[1], "interval": "bootstrap of the images"}
        yield {
            **common, "id": f"{stem}/error_consistency",
            "title": f"error consistency with people, {experiment}",
            "value": found["error_consistency"], "chance": 0.0, **ends,
            "ceiling": None if among is None else (among, among), "note": "ceiling: among people",
        }  # fmt: skip
    if "shape_bias" in found:
        bias, own = found.get("human_shape_bias"), found["shape_bias"]
        decided = round((own["shape"] + own["texture"]) * found["images"])
        yield {
            **common, "id": f"{stem}/shape_bias", "title": f"shape bias, {experiment}",
            "value": own["shape_bias"], **(_share(own["shape_bias"], decided) if decided else {}),
            "note": "" if bias is None else f"people {bias['shape_bias']:.3f}",
        }  # fmt: skip


def _of_choices(stem: str, found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, score in found["scores"].items():
        yield {
            "section": "behaviour", "id": f"{stem}/{name}",
            "title": f"{name}, share of the ceiling",
            "value": score["score"], "low": score["low"], "high": score["high"],
            "interval": "halves of the trials", "chance": 0.0, "step": found["step"],
            "note": f"{found['images']} pictures, {found['trials']} trials",
        }  # fmt: skip


_READERS = {
    "accuracy": _of_accuracy,
    "robustness": _of_robustness,
    "attacks": _of_attacks,
    "physiology": _of_physiology,
    "similarity": _of_similarity,
    "behaviour": _of_behaviour,
    "choices": _of_choices,
}


def _share(value: float, count: int) -> dict[str, Any]:
    low, high = wilson(value, count)
    return {"low": low, "high": high, "interval": f"Wilson, {count} images"}


def _normal(value: float, error: float, what: str) -> dict[str, Any]:
    return {"low": value - _Z * error, "high": value + _Z * error, "interval": what}

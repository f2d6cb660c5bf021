"""Everything about one run that its page shows, as JSON."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxbio.board.columns import Columns
from jaxbio.board.index import Index
from jaxbio.board.scorecard import blanks
from jaxbio.board.wrong import find_wrong
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.ops.intervals import wilson
from jaxbio.options import keys
from jaxbio.physiology.distributions import UNITS
from jaxbio.runs.listing import Run, flat
from jaxbio.tasks.config import config_class, restored_config

_POINTS = 1500  # of a curve; more than there are pixels is of no use
_KINDS = {".png": "image/png", ".html": "text/html; charset=utf-8"}
_FOLDERS = ("report", "evaluation")
_NOT_RESULTS = ("readouts", "population", "run")  # shown in their own way

JSON = dict[str, Any]


def run_details(index: Index, name: str) -> JSON:
    """All that is known of a run but its curves.

    Raises:
        NotFoundError: there is no such run.
    """
    seen, columns = index.open(name)
    run, damage = seen.run, list(seen.damage)
    if columns.damaged:
        damage.append(f"{columns.damaged} lines of metrics.jsonl are damaged and left out")
    details: JSON = {
        "name": name,
        "path": str(run.path),
        "state": run.state,
        "task": run.task,
        "model": run.model,
        "data": run.data,
        "group": seen.group,
        "images_per_step": _images_per_step(run),
        "curves": sorted(columns.series),
        "results": {k: v for k, v in run.results.items() if k not in _NOT_RESULTS},
        "resolved": run.resolved,
        "scorecard": [vars(entry) for entry in seen.entries],
        "blanks": blanks(run, seen.entries),
        "files": [{"name": key, "version": v} for key, v in run_files(run.path).items()],
    }
    for key, part in _PARTS.items():
        details[key] = None
        with _noted(damage, key):
            details[key] = part(run)
    for kind, reader in _EVALUATIONS.items():
        details[kind] = []
        for file in sorted((run.path / "evaluation").glob(f"{kind}*.json")):
            with _noted(damage, file.name):
                details[kind] += list(reader(file.stem, read_json(file)))
    return {**details, "damage": list(dict.fromkeys(damage))}


@contextlib.contextmanager
def _noted(damage: list[str], what: str) -> Iterator[None]:
    """A line of damage in place of whatever a wrong file makes its reader raise."""
    try:
        yield
    except (InputError, LookupError, TypeError, ValueError, AttributeError) as error:
        damage.append(f"{what} is not what jaxbio writes ({type(error).__name__}: {error})")


def run_curves(
    columns: Columns, low: float = 0.0, high: float = 2.0**31, most: int = _POINTS
) -> JSON:
    """The curves of a run from step ``low`` to ``high``, of at most so many points each:
    ``{SPLIT/KEY: [steps, values]}``.
    """
    return {k: series.between(low, high, most) for k, series in columns.series.items()}


def run_files(path: Path) -> dict[str, int]:
    """The pictures and pages of a run by name, and a number that changes with each.

    Nothing else of a run can be asked for, and no link is followed.
    """
    found = {}
    for folder in _FOLDERS:
        for file in sorted((path / folder).rglob("*")):
            if file.suffix in _KINDS and file.is_file() and not file.is_symlink():
                found[file.relative_to(path).as_posix()] = file.stat().st_mtime_ns
    return found


def file_kind(name: str) -> str:
    """The media type of one of :func:`run_files`."""
    return _KINDS[Path(name).suffix]


def _images_per_step(run: Run) -> int | None:
    """None where the recordings decide it."""
    key = {"stdp": "spiking.images_per_step", "classification": "train.batch_size"}.get(run.task)
    images = flat(run.config).get(key or "")
    return images if type(images) is int else None


def _config(run: Run) -> list[JSON]:
    """Every key beside the default of its task; those that differ first."""
    if not run.config:
        return []
    declared = keys(config_class(run.task))
    values = flat(restored_config({"config": run.config}).to_dict())
    rows = [
        {
            "key": path,
            "value": _text(values.get(path)),
            "base": _text(key.default),
            "meaning": key.option.meaning,
        }
        for path, key in declared.items()
    ]
    return sorted(rows, key=lambda row: row["value"] == row["base"])


def _text(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _readouts(run: Run) -> list[JSON]:
    """Accuracies of a spiking network, with the confusion matrices where it is one network."""
    names = run.resolved.get("class_names")
    found = []
    for name, one in run.results.get("readouts", {}).items():
        counts = one.get("confusion")
        labels = list(names or map(str, range(len(counts)))) if counts else []
        found.append(
            {"name": name, "accuracy": one["accuracy"], "error": one["error"],
             "confusion": counts, "labels": labels}
        )  # fmt: skip
    return found


def _population(run: Run) -> JSON | None:
    """The grid of a population: parameters that vary, and per point the accuracies of its seeds."""
    members = run.results.get("population")
    if not members:
        return None
    readout = run.config["spiking"]["readout"]
    varied = [key for key in members[0] if key not in ("seed", "readouts")]
    points: dict[tuple[Any, ...], list[float]] = {}
    for member in members:
        at = tuple(member[key] for key in varied)
        points.setdefault(at, []).append(member["readouts"][readout]["accuracy"])
    return {
        "keys": varied,
        "readout": readout,
        "points": [{"at": list(at), "values": values} for at, values in points.items()],
    }


def _confusion(run: Run) -> JSON | None:
    wrong = find_wrong(run.path)
    return None if wrong is None else wrong.about


def _robustness(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    cells = {tuple(key.split("/")): cell["top1"] for key, cell in found["cells"].items()}
    if not cells:
        return  # is being measured
    intervals = [wilson(cell["top1"], cell["count"]) for cell in found["cells"].values()]
    kinds = list(dict.fromkeys(kind for kind, _ in cells))
    severities = sorted({severity for _, severity in cells}, key=int)
    yield {
        "title": stem,
        "rows": kinds,
        "columns": severities,
        "values": [[cells.get((kind, s)) for s in severities] for kind in kinds],
        "clean": found["clean"]["top1"],
        "chance": 1 / found["data"]["num_classes"],
        "images": found["clean"]["count"],
        "within": max(high - low for low, high in intervals) / 2,
    }


def _similarity(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    for limits in found["ceilings"]:
        where = limits["measure"], limits["bin"]
        rows = [row for row in found["scores"] if (row["measure"], row["bin"]) == where]
        if not rows:
            continue  # is being measured
        layers = list(dict.fromkeys(row["layer"] for row in rows))
        steps = list(dict.fromkeys(row["step"] for row in rows))
        at = {(row["layer"], row["step"]): row for row in rows}
        pairs = [[at.get((layer, step)) for step in steps] for layer in layers]
        yield {
            "title": " ".join(filter(None, [stem.removeprefix("similarity_"), *where])),
            "rows": layers,
            "columns": ["no steps" if step is None else f"step {step}" for step in steps],
            "values": [[row and row["score"] for row in line] for line in pairs],
            "intervals": [[row and [row["low"], row["high"]] for row in line] for line in pairs],
            "ceiling": None if limits["low"] is None else [limits["low"], limits["high"]],
            "synthetic": found["synthetic"],
        }


def _attacks(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    clean = found["clean"]
    for norm, cells in found["accuracy_under_attack"].items():
        yield {
            "title": f"{stem.removeprefix('attacks_')}, {norm}",
            "radii": [0.0, *map(float, cells)],
            "values": [clean["accuracy"], *(cell["accuracy"] for cell in cells.values())],
            "intervals": [clean["interval"], *(cell["interval"] for cell in cells.values())],
            "chance": 1 / found["data"]["num_classes"],
            "images": found.get("images"),
            "warnings": found.get("warnings", []),
        }


def _physiology(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    for time in found["times"]:
        yield {
            "title": " ".join(filter(None, [found["layer"], time["time"]])),
            "rows": [
                {"name": name.replace("_", " "), "units": one["recorded"],
                 "median": one["median"], "unit": UNITS.get(name, ""), "score": one["score"]}
                for name, one in time["properties"].items()
            ],
        }  # fmt: skip


def _behaviour(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    yield {
        "title": found["experiment"],
        "conditions": found["conditions"],
        "labels": found["confusion"]["answers"],
        "confusion": found["confusion"]["shares"],
    }


def _time(stem: str, found: Mapping[str, Any]) -> Iterator[JSON]:
    classes = found.get("data", {}).get("num_classes")
    yield {
        "values": found["top1"],
        "intervals": [wilson(value, found["count"]) for value in found["top1"]],
        "count": found["count"],
        "chance": 1 / classes if classes else None,
    }


_PARTS: dict[str, Callable[[Run], Any]] = {
    "config": _config,
    "readouts": _readouts,
    "population": _population,
    "confusion": _confusion,
}
_EVALUATIONS = {
    "robustness": _robustness,
    "similarity": _similarity,
    "attacks": _attacks,
    "physiology": _physiology,
    "behaviour": _behaviour,
    "time": _time,
}

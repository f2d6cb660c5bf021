"""The runs below a folder: what is known of each without opening it, damaged ones included."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.options import flat
from jaxbio.runs.directory import RunDirectory

JUDGED_BY = ("top1", "accuracy", "similarity")  # the entry of results.json, whichever there is
_BEAT_SECONDS = 30.0  # a process that trains touches its lock more often
_PARTS = ("config.json", "checkpoints", "metrics.jsonl", "results.json")


@dataclass(frozen=True)
class Run:
    """What is known of a run.

    Attributes:
        state: ``finished``, ``running``, ``stopped``, ``weights`` (converted ones, never trained)
            or ``damaged``.
        step: of the newest checkpoint; None: there is none.
        score: the entry of the results that it is judged by, and its value; None before its end.
    """

    name: str
    path: Path
    state: str = "stopped"
    damage: str = ""
    task: str = ""
    data: str = ""
    model: str = ""
    step: int | None = None
    score: tuple[str, float] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[Path], dict[str, Any]]


def find_runs(folder: Path) -> dict[str, Path]:
    """Every run directory of any task below a folder, by name; nothing is read.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the one that holds the runs")
    found = {}
    for path, below, files in os.walk(folder):
        if set(_PARTS) & {*below, *files}:
            below.clear()  # nothing of a run is a run
            found[Path(path).relative_to(folder).as_posix()] = Path(path)
        below.sort()
    return dict(sorted(found.items()))


def read_run(name: str, path: Path, read: Reader = read_json) -> Run:
    """What the small files of a run directory say.

    Args:
        name: of the run.
        path: the run directory.
        read: reads a JSON file, or remembers it.
    """
    known: dict[str, Any] = {}
    try:
        _fill(known, path, read)
    except (InputError, OSError) as error:
        known |= {"state": "damaged", "damage": str(error)}
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        what = f"not what jaxbio writes ({type(error).__name__}: {error})"
        known |= {"state": "damaged", "damage": what}
    return Run(name, path, **known)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The keys in which two configurations differ, and both values; - where one has no such key."""
    one, other = flat(first), flat(second)
    return [
        (key, str(one.get(key, "-")), str(other.get(key, "-")))
        for key in sorted(one.keys() | other.keys())
        if one.get(key, "-") != other.get(key, "-")
    ]


def is_training(path: Path) -> bool:
    """Whether the owner of the run's lock has shown a sign of life of late."""
    try:
        return time.time() - (path / "lock").stat().st_mtime < _BEAT_SECONDS
    except OSError:
        return False


def _fill(known: dict[str, Any], path: Path, read: Reader) -> None:
    """Takes down what is found, until something is not as it should be."""
    recorded = read(path / "config.json")
    if "config" not in recorded:
        known |= {"model": str(recorded["model"]["name"]), "state": "weights"}
        return
    config = recorded["config"]
    task = known["task"] = str(config["task"])
    known["data"] = str(config["rdm"]["neural"] if task == "rdm" else config["data"]["source"])
    known["model"] = _model(config, task)
    known |= {"config": config, "resolved": dict(recorded.get("resolved", {}))}
    if not (path / "results.json").is_file():
        known["step"] = max(RunDirectory(path).steps(), default=None)
        known["state"] = "running" if is_training(path) else "stopped"
        return
    results = read(path / "results.json")
    key = next(key for key in JUDGED_BY if key in results)
    known |= {"score": (key, float(results[key])), "results": results, "state": "finished"}


def _model(config: Mapping[str, Any], task: str) -> str:
    if task == "stdp":
        spiking = config["spiking"]
        return f"{spiking['kind']} {spiking['filters']}/{spiking['kernel']}"
    front_end = config["model"]["front_end"]
    return config["model"]["name"] + (f" + {front_end}" if front_end != "none" else "")

"""Every saved network by name: a table of them, renaming, deleting.

A network is a run directory of the task ``stdp``; its name is the directory's path below the folder
of all runs. Nothing here reads arrays, so that hundreds of networks are listed at once.
"""

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxbio.errors import InputError
from jaxbio.files import read_json, write_json
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.listing import find_runs
from jaxbio.spiking.population import Member
from jaxbio.spiking.settings import READOUTS
from jaxbio.tasks.config import restored_config
from jaxbio.tasks.stdp.reading import read_members_of

TASK = "stdp"
_COLUMNS = ("kind", "filters", "kernel", "stride", "mean_weight", "c_w", "trained_competition")


@dataclass(frozen=True)
class Entry:
    """What is known of a saved network without opening it.

    Attributes:
        name: path below the folder of all runs.
        settings: the section ``spiking`` of its configuration.
        members: the networks of the run: one, or a population.
    """

    name: str
    run: RunDirectory
    settings: Mapping[str, Any]
    results: Mapping[str, Any]
    members: Sequence[Member]

    def parameter(self, name: str) -> str:
        """A parameter as text; ``varies`` where a population's networks differ in it."""
        if name in self.members[0].changes:
            values = sorted({member.changes[name] for member in self.members})
            return _text(values[0]) if len(values) == 1 else "varies"
        return _text(self.settings.get(name))

    def accuracies(self) -> dict[str, tuple[float, float]]:
        """Accuracy in [0, 1] and its error of every readout that was measured.

        Of one network the standard error of its test; of a population mean and standard deviation.
        """
        measured = self.results.get("readouts", {})
        return {
            name: (measured[name]["accuracy"], measured[name]["error"])
            for name in READOUTS
            if name in measured
        }


def find_networks(root: Path) -> list[Entry]:
    """All networks below a folder, by name; damaged ones are left out with a warning each.

    Raises:
        InputError: no such folder.
    """
    if not root.is_dir():
        raise InputError(f"no folder {root}: give the one that holds the runs, with --runs")
    found = []
    for path in find_runs(root).values():
        if not (path / "config.json").is_file():
            continue
        try:
            entry = _read(root, path)
        except InputError as error:
            warnings.warn(f"left out: {error}", stacklevel=2)
            continue
        if entry is not None:
            found.append(entry)
    return found


def find_network(root: Path, name: str) -> Entry:
    """One network.

    Raises:
        InputError: there is none of that name, or its run directory is damaged.
    """
    entry = None
    if _inside(root, name) and (root / name / "config.json").is_file():
        entry = _read(root, root / name)
    if entry is None:
        known = ", ".join(entry.name for entry in find_networks(root)) or "none"
        raise InputError(f"no network '{name}' in {root}; there are: {known}")
    return entry


def only_network(root: Path) -> Entry:
    """The network of a folder that holds one.

    Raises:
        InputError: there are none, or several.
    """
    entries = find_networks(root)
    if len(entries) != 1:
        names = ", ".join(entry.name for entry in entries) or "none"
        raise InputError(f"which network of {root}? give one of: {names}")
    return entries[0]


def rename_network(root: Path, name: str, new_name: str) -> Path:
    """Moves a run directory; returns the new one.

    Raises:
        InputError: no such network, the new name is taken or outside of the folder.
    """
    entry = find_network(root, name)
    target = root / new_name
    if not _inside(root, new_name):
        raise InputError(f"'{new_name}' is not a name below {root}: use letters, digits, - and _")
    if target.exists():
        raise InputError(f"{target} exists: choose another name")
    if entry.run.path in target.absolute().parents:
        raise InputError(f"'{new_name}' is inside of '{name}': choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(entry.run.path, target)
    moved = RunDirectory(target)
    if entry.results:
        write_json(moved.results_file, {**entry.results, "run": str(moved.path)})
    return target


def delete_network(root: Path, name: str) -> None:
    """Removes a network and everything in its run directory.

    Raises:
        InputError: there is none of that name.
    """
    shutil.rmtree(find_network(root, name).run.path)


def table(entries: list[Entry]) -> list[tuple[str, ...]]:
    """Rows of text: head, then name, parameters, images and accuracies of each run."""
    measured = [entry.accuracies() for entry in entries]
    readouts = [name for name in READOUTS if any(name in one for one in measured)]
    rows = [("name", *_COLUMNS, "networks", "images", *(f"{name} %" for name in readouts))]
    for entry, accuracies in zip(entries, measured, strict=True):
        parameters = [entry.parameter(key) for key in _COLUMNS]
        images = _text(entry.results.get("images"))
        scores = [_percent(accuracies.get(name)) for name in readouts]
        rows.append((entry.name, *parameters, str(len(entry.members)), images, *scores))
    return rows


def _read(root: Path, path: Path) -> Entry | None:
    run = RunDirectory(path)
    recorded = read_json(run.config_file)
    told = recorded.get("config", {})  # converted weights have none
    if isinstance(told, Mapping) and told.get("task") != TASK:
        return None
    config = restored_config(recorded)
    members = read_members_of(config)
    name = path.absolute().relative_to(root.absolute()).as_posix()
    results = run.results() or {}
    try:
        for one in (results, *results.get("population", ())):
            for measured in one.get("readouts", {}).values():
                float(measured["accuracy"]), float(measured["error"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{run.results_file} is damaged: remove it, then train again") from error
    return Entry(name, run, config.spiking.to_dict(), results, members)


def _inside(root: Path, name: str) -> bool:
    path = Path(os.path.normpath(root.absolute() / name))
    return (
        path != root.absolute() and root.absolute() in path.parents and ".." not in Path(name).parts
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _percent(value: tuple[float, float] | None) -> str:
    return "-" if value is None else f"{100 * value[0]:.1f} +- {100 * value[1]:.1f}"

"""Lists the runs below a folder, or compares two of them.

jaxbio runs                        # every run below runs/
jaxbio runs list FOLDER
jaxbio runs compare runs/A runs/B  # what differs; paired tests on the same test pictures
"""

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxbio.commands.command_line import Parser, start_jax
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.progress import format_table

# The entry of results.json that a task is judged by, and how it reads.
_RESULTS = {
    "top1": "top-1 {:.2%}",
    "accuracy": "accuracy {:.2%}",
    "similarity": "similarity {:.3f}",
}
_BEAT_SECONDS = 30.0  # a process that trains touches its lock more often
_PARTS = ("config.json", "checkpoints", "metrics.jsonl", "results.json")


class Row(NamedTuple):
    """What is known of a run without opening it.

    Attributes:
        name: its path below the folder.
        task: how it is trained.
        data: what it is trained on.
        model: the network.
        result: of the finished run.
        state: ``finished``, ``step N`` (``, training`` now), ``converted weights``, or
            ``DAMAGED`` and why.
    """

    name: str
    task: str
    data: str
    model: str
    result: str
    state: str


def options(parser: Parser) -> None:
    """The command's arguments."""
    actions = parser.add_subparsers(metavar="ACTION")
    listing = actions.add_parser("list", help="a table of all runs (default)")
    listing.add_argument("folder", nargs="?", type=Path, default=Path("runs"))
    parser.set_defaults(command=_list, folder=Path("runs"))
    compare = actions.add_parser("compare", help="two classifiers on the same test pictures")
    compare.add_argument("first", metavar="A", help="run directory")
    compare.add_argument("second", metavar="B", help="run directory of the same data")
    compare.add_argument(
        "--checkpoint", default="best", metavar="WHICH", help="best (default), last or a step"
    )
    compare.set_defaults(command=_compare)


def run(options: argparse.Namespace) -> None:
    """Does what the action says."""
    options.command(options)


def list_runs(folder: Path) -> list[Row]:
    """Every run of any task below a folder, by name; damaged ones say so.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: give the one that holds the runs")
    rows = []
    for path, below, files in os.walk(folder):
        if set(_PARTS) & {*below, *files}:
            below.clear()  # nothing of a run is a run
            rows.append(_row(Path(path).relative_to(folder).as_posix(), Path(path)))
        below.sort()
    return sorted(rows)


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The keys in which two configurations differ, and both values; - where one has no such key."""
    one, other = _flat(first), _flat(second)
    return [
        (key, str(one.get(key, "-")), str(other.get(key, "-")))
        for key in sorted(one.keys() | other.keys())
        if one.get(key, "-") != other.get(key, "-")
    ]


def _list(options: argparse.Namespace) -> None:
    rows = list_runs(options.folder)
    if not rows:
        print(f"no runs below {options.folder}: jaxbio train svp_resnet makes one")
        return
    print(format_table([Row._fields, *rows]))


def _row(name: str, path: Path) -> Row:
    task = data = model = result = ""
    try:
        recorded = read_json(path / "config.json")
        if "config" not in recorded:
            arguments = recorded["model"]
            return Row(name, "", "", str(arguments["name"]), "", "converted weights")
        config = recorded["config"]
        task = str(config["task"])
        data = str(config["rdm"]["neural"] if task == "rdm" else config["data"]["source"])
        model = _model(config, task)
        if not (path / "results.json").is_file():
            steps = [int(step.name.removeprefix("step_")) for step in _checkpoints(path)]
            step = f"step {max(steps)}" if steps else "no step yet"
            return Row(name, task, data, model, "", f"{step}{_training(path)}")
        results = read_json(path / "results.json")
        key = next(key for key in _RESULTS if key in results)
        result = _RESULTS[key].format(results[key])
    except (InputError, OSError) as error:
        return Row(name, task, data, model, result, f"DAMAGED: {error}")
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        what = f"{type(error).__name__}: {error}"
        return Row(name, task, data, model, result, f"DAMAGED: not what jaxbio writes ({what})")
    return Row(name, task, data, model, result, "finished")


def _model(config: Mapping[str, Any], task: str) -> str:
    if task == "stdp":
        spiking = config["spiking"]
        return f"{spiking['kind']} {spiking['filters']}/{spiking['kernel']}"
    front_end = config["model"]["front_end"]
    return config["model"]["name"] + (f" + {front_end}" if front_end != "none" else "")


def _checkpoints(path: Path) -> list[Path]:
    found = (path / "checkpoints").glob("step_*")
    return [step for step in found if step.name.removeprefix("step_").isdecimal()]


def _training(path: Path) -> str:
    try:
        fresh = time.time() - (path / "lock").stat().st_mtime < _BEAT_SECONDS
    except OSError:
        return ""
    return ", training" if fresh else ""


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        inner = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def _compare(options: argparse.Namespace) -> None:
    start_jax()
    from jaxbio.measures.paired import compare_answers, compare_table
    from jaxbio.measures.predictions import predict
    from jaxbio.tasks.classification.opened import open_session
    from jaxbio.tasks.config import restored_config

    paths = [options.first, options.second]
    configs = []
    for path in paths:
        recorded = read_json(Path(path) / "config.json")
        if recorded.get("config", {}).get("task") != "classification":
            raise InputError(f"{path} is no run of a classifier: compare two of them")
        configs.append(restored_config(recorded).to_dict())
    rows = differences(*configs)
    print(format_table([("key", "A", "B"), *rows]) if rows else "no key differs")
    sessions = [open_session(None, path, options.checkpoint) for path in paths]
    data = [session.source.describe() for session in sessions]
    if data[0] != data[1]:
        raise InputError(f"{paths[1]} has other test pictures than {paths[0]}: nothing is paired")
    answers = [predict(session, session.batches()) for session in sessions]
    correct = [found.top1 == found.labels for found in answers]
    print(f"\nA: {paths[0]}, step {sessions[0].step}\nB: {paths[1]}, step {sessions[1].step}\n")
    print(compare_table(compare_answers(*correct, seed=sessions[0].config.seed)))  # type: ignore[misc]

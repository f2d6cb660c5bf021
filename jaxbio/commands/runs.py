"""Lists the runs below a folder, or compares two of them.

jaxbio runs                        # every run below runs/
jaxbio runs list FOLDER
jaxbio runs compare runs/A runs/B  # what differs; paired tests on the same test pictures
"""

import argparse
from pathlib import Path
from typing import NamedTuple

from jaxbio.commands.command_line import Parser, start_jax
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.listing import Run, differences, find_runs, read_run
from jaxbio.runs.progress import format_table

_RESULTS = {
    "top1": "top-1 {:.2%}",
    "accuracy": "accuracy {:.2%}",
    "similarity": "similarity {:.3f}",
}


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
    add = compare.add_argument
    add("first", metavar="A", help="run directory")
    add("second", metavar="B", help="run directory of the same data")
    add("--checkpoint", default="best", metavar="WHICH", help="best (default), last or a step")
    compare.set_defaults(command=_compare)


def run(options: argparse.Namespace) -> None:
    """Does what the action says."""
    options.command(options)


def list_runs(folder: Path) -> list[Row]:
    """Every run of any task below a folder, by name; damaged ones say so.

    Raises:
        InputError: no such folder.
    """
    return [_row(read_run(name, path)) for name, path in find_runs(folder).items()]


def _list(options: argparse.Namespace) -> None:
    rows = list_runs(options.folder)
    if not rows:
        print(f"no runs below {options.folder}: jaxbio train svp_resnet makes one")
        return
    print(format_table([Row._fields, *rows]))


def _row(run: Run) -> Row:
    step = "no step yet" if run.step is None else f"step {run.step}"
    state = {
        "running": f"{step}, training",
        "stopped": step,
        "weights": "converted weights",
        "damaged": f"DAMAGED: {run.damage}",
    }.get(run.state, run.state)
    result = _RESULTS[run.score[0]].format(run.score[1]) if run.score else ""
    return Row(run.name, run.task, run.data, run.model, result, state)


def _compare(options: argparse.Namespace) -> None:
    start_jax()
    from jaxbio.measures.answers import answer_test_set
    from jaxbio.measures.paired import compare_answers, compare_table
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
    answers = [answer_test_set(session)[1] for session in sessions]
    correct = [found.answer == found.label for found in answers]
    print(f"\nA: {paths[0]}, step {sessions[0].step}\nB: {paths[1]}, step {sessions[1].step}\n")
    print(compare_table(compare_answers(*correct, seed=sessions[0].config.seed)))  # type: ignore[misc]

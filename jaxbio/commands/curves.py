"""Loss and accuracy curves of training runs: ``jaxbio curves runs/A runs/B``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from jaxbio.errors import InputError
from jaxbio.plotting.curves import plot_curves
from jaxbio.plotting.saving import save_figure

_EXIT_INPUT_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Draws the curves into one figure.

    Args:
      arguments: command line without the program's name; default: that of the process.

    Returns:
      The exit code; 2 for wrong input, with one line on standard error.
    """
    parser = argparse.ArgumentParser(
        prog="jaxbio curves",
        description="Loss and accuracy over the steps of one or several training runs.",
        allow_abbrev=False,
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directory")
    parser.add_argument(
        "--output", default="curves.png", metavar="FILE", help="default: curves.png"
    )
    options = parser.parse_args(arguments)
    try:
        figure = plot_curves({name: read_metrics(run) for name, run in _named(options.runs)})
        _save(figure, options.output)
    except InputError as error:
        print(f"jaxbio.plotting: error: {error}", file=sys.stderr)
        return _EXIT_INPUT_ERROR
    print(f"written to {options.output}")
    return 0


def read_metrics(run: str) -> list[dict]:
    """The lines of a run's ``metrics.jsonl``.

    Raises:
      InputError: no such file, or not what a training run writes.
    """
    path = Path(run) / "metrics.jsonl"
    if not path.is_file():
        raise InputError(f"{path} does not exist: pass directories that train.py wrote")
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise InputError(f"{path} is not what train.py writes: {error}") from error
    if not all({"step", "split", "loss", "top1"} <= line.keys() for line in lines):
        raise InputError(f"{path} has no loss and top1: pass runs of classifiers")
    return lines


def _named(runs: Sequence[str]) -> list[tuple[str, str]]:
    """The runs by their last directory, or by their paths where those are alike."""
    names = [Path(run).resolve().name for run in runs]
    return list(zip(names if len(set(names)) == len(names) else runs, runs, strict=True))


def _save(figure, output: str) -> None:
    try:
        save_figure(figure, Path(output))
    except (OSError, ValueError) as error:
        raise InputError(f"--output={output} cannot be written: {error}") from error

"""Loss and accuracy over the steps of one or several training runs.

jaxbio curves runs/A runs/B --output=curves.png
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from jaxbio.commands.command_line import Parser
from jaxbio.errors import InputError


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run directory of a classifier")
    add("--output", default="curves.png", metavar="FILE", help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Draws the curves into one figure."""
    from jaxbio.plotting.curves import plot_curves
    from jaxbio.plotting.saving import save_figure

    figure = plot_curves({name: _lines(run) for name, run in _named(options.runs)})
    save_figure(figure, Path(options.output))
    print(f"written to {options.output}")


def _lines(run: str) -> list[dict]:
    from jaxbio.runs.metrics_file import read_metrics

    path = Path(run) / "metrics.jsonl"
    lines = read_metrics(path, "loss", "top1")
    if not lines:
        raise InputError(f"{path} has no loss and top1: pass run directories of classifiers")
    return lines


def _named(runs: Sequence[str]) -> list[tuple[str, str]]:
    """The runs by their last directory, or by their paths where those are alike."""
    names = [Path(run).resolve().name for run in runs]
    return list(zip(names if len(set(names)) == len(names) else runs, runs, strict=True))

"""Responses by class, learned shifts per layer, activation curves: figures of runs.

jaxbio responses runs/A runs/B --output=figures
"""

import argparse
from pathlib import Path

from jaxbio.commands.command_line import Parser, start_jax


def options(parser: Parser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="run directory, of one data set")
    add("--endpoint", default="", metavar="NAME", help="default: the last block")
    add("--checkpoint", default="last", metavar="WHICH", help="best, last (default) or a step")
    add("--output", default="figures", metavar="DIR", help="default: figures")


def run(options: argparse.Namespace) -> None:
    """Opens the runs and writes their figures."""
    start_jax()
    from jaxbio.measures.responses import draw_figures
    from jaxbio.plotting.saving import save_figure
    from jaxbio.tasks.classification.opened import open_session

    runs = {}
    for path in options.runs:
        session = open_session(None, path, options.checkpoint)
        runs[path if Path(path).name in runs else Path(path).name] = session
    for name, figure in draw_figures(runs, options.endpoint).items():
        file = Path(options.output) / f"{name}.png"
        save_figure(figure, file)
        print(f"written to {file}")

"""``jaxbio COMMAND ...``: the commands by name, and how one is run."""

import importlib
import sys
from collections.abc import Sequence

import jaxbio
from jaxbio.commands.command_line import Parser, one_line_errors
from jaxbio.errors import InputError

# Each is the module of that name in jaxbio.commands, which has ``options(parser)`` and
# ``run(options)``; its docstring is the command's help.
COMMANDS = {
    "train": "train an experiment, or go on where it stopped",
    "sweep": "train at every point of a grid, with several seeds",
    "evaluate": "accuracy, robustness, attacks, features, similarity of a run",
    "predict": "what a classifier sees in pictures",
    "data": "classes, counts, sizes and samples of a data set; shards",
    "weights": "convert PyTorch files",
    "neural": "describe or convert neural recordings",
    "runs": "list the runs of a folder, or compare two",
    "board": "all runs in the browser, live; or as static files",
    "spiking": "list, show and try spiking networks",
    "corruptions": "a picture under the 19 corruptions",
    "stimuli": "distorted pictures to show networks and people",
    "curves": "loss and accuracy over the steps of runs",
    "responses": "responses by class and activation curves of runs",
    "reproduce": "published tables, measured again",
    "completion": "what a shell needs to complete all these",
}


def main(words: Sequence[str] | None = None, program: str = "") -> int:
    """Runs the command that the first word names.

    Args:
        words: of the command line; default: that of the process.
        program: what errors and help call the command; default: ``jaxbio COMMAND``.

    Returns:
        The exit code; see :func:`jaxbio.commands.command_line.one_line_errors`.
    """
    name, *rest = list(sys.argv[1:] if words is None else words) or ["--help"]
    if name == "--version":
        print(f"jaxbio {jaxbio.__version__}")
        return 0
    if name in ("-h", "--help"):
        print("usage: jaxbio COMMAND ...\n")
        for command, what in COMMANDS.items():
            print(f"  {command:12} {what}")
        print("\njaxbio COMMAND --help says more; jaxbio --version")
        return 0
    try:
        with one_line_errors(program or (f"jaxbio {name}" if name in COMMANDS else "jaxbio")):
            _run(name, rest, program)
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def make_parser(name: str, words: Sequence[str] = (), program: str = "") -> Parser:
    """A command's parser; ``words`` are what it will parse."""
    module = importlib.import_module(f"jaxbio.commands.{name}")
    parser = Parser(prog=program or f"jaxbio {name}", description=module.__doc__)
    parser.words = words
    module.options(parser)
    return parser


def _run(name: str, words: Sequence[str], program: str) -> None:
    if name not in COMMANDS:
        raise InputError(f"unknown command '{name}': use {', '.join(COMMANDS)}")
    options = make_parser(name, words, program).parse(words)
    importlib.import_module(f"jaxbio.commands.{name}").run(options)

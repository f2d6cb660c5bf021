"""``jaxbio COMMAND ...``: the commands by name."""

import importlib
import sys
from collections.abc import Sequence

# Command: module with ``main(arguments) -> exit code``, and what it does.
_COMMANDS = {
    "weights": ("jaxbio.commands.weights", "convert PyTorch files"),
    "neural": ("jaxbio.commands.neural", "describe or convert neural recordings"),
    "spiking": ("jaxbio.commands.spiking", "list, show and try spiking networks"),
    "corruptions": ("jaxbio.commands.corruptions", "a picture under the 19 corruptions"),
    "curves": ("jaxbio.commands.curves", "loss and accuracy over the steps of runs"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command that the first argument names; returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: jaxbio COMMAND ...\n")
        for name, (_, what) in _COMMANDS.items():
            print(f"  {name:12} {what}")
        return 0
    name, *rest = arguments
    if name not in _COMMANDS:
        print(f"jaxbio: error: unknown command '{name}': see jaxbio --help", file=sys.stderr)
        return 2
    return importlib.import_module(_COMMANDS[name][0]).main(rest)

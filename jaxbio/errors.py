"""Errors that users can mend, and how the commands show warnings."""

import sys
import warnings


class InputError(ValueError):
    """Wrong input: one line that names the key, file or value, and the remedy.

    The commands print the message alone and exit with code 2; in a program it is a ``ValueError``.
    """


def shorten_warnings() -> None:
    """Makes the commands print a warning as one line, once, without the code that gave it."""
    said = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            print(f"WARNING: {text}", file=sys.stderr)

    warnings.showwarning = show

"""Errors that the commands show as one line, and how they show warnings."""

import difflib
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Wrong input: one line that names the key, file or value, and the remedy.

    The commands print the message alone and exit with ``exit_code``; in a program it is a
    ``ValueError``.
    """

    exit_code = 2


class WriteError(InputError):
    """A disk that is full, read-only or gone: what was written before stays and can be resumed."""

    exit_code = 1

    @classmethod
    def of(cls, path: str | Path, error: OSError) -> "WriteError":
        """The error of a file that could not be written."""
        reason = error.strerror or str(error) or type(error).__name__
        return cls(f"{path} cannot be written ({reason}): make room or mend it, then repeat")


class NonFiniteError(RuntimeError):
    """The loss or a gradient became NaN or infinite."""

    exit_code = 1


def suggest(value: Any, known: Iterable[Any], lead: str = "use") -> str:
    """The end of an error about a name: the one that is meant, perhaps, and all that there are."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(value), names, n=1)
    return f"{f'did you mean {close[0]!r}? ' if close else ''}{lead} {', '.join(names)}"


def shorten_warnings() -> None:
    """Makes the commands print a warning as one line, once, without the code that gave it."""
    said = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        text = " ".join(str(message).split())
        if text not in said:
            said.add(text)
            print(f"WARNING: {text}", file=sys.stderr)

    warnings.showwarning = show

"""The measures of a trained model: which there are, and how one is taken.

A measure is a module with ``NAME``, the value of ``--mode``; ``options(add)``, its flags;
``needs_data(options)``, whether it reads the data that the configuration names; and
``run(session, options)``, which measures, prints and writes, and returns the results. Its docstring
is the mode's help. Modules import JAX inside their functions, so that ``--help`` is immediate.
"""

import argparse
import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jaxbio.errors import InputError, suggest
from jaxbio.files import write_json
from jaxbio.runs.progress import Pace, say

if TYPE_CHECKING:
    from jaxbio.tasks.classification.opened import Session

_MODULES = (
    "accuracy",
    "robustness",
    "attacks",
    "behaviour",
    "choices",
    "features",
    "similarity",
    "over_time",
    "physiology",
)


class Measure(Protocol):
    """See the top of this file."""

    NAME: str

    def options(self, add: Any) -> None:
        """Declares flags by argparse's ``add(...)``, shorthand for ``add_argument``."""

    def needs_data(self, options: argparse.Namespace) -> bool:
        """Whether the session has to be opened with its data."""

    def run(self, session: "Session", options: argparse.Namespace) -> Any:
        """Measures, prints and writes; returns the results."""


def measures() -> dict[str, Measure]:
    """All of them, by name."""
    modules = (importlib.import_module(f"jaxbio.measures.{name}") for name in _MODULES)
    return {module.NAME: module for module in modules}


def measure(session: "Session", name: str, **changes: Any) -> Any:
    """Takes a measure of an opened run, prints and writes it.

    Args:
        session: the run; with data where the measure needs it.
        name: one of :func:`measures`.
        changes: options that differ from the defaults of the command line.

    Returns:
        The results, as the measure returns them.

    Raises:
        InputError: an unknown measure or option, or what the measure itself refuses.
    """
    chosen, options = chosen_measure(name, **changes)
    return chosen.run(session, options)


def chosen_measure(name: str, **changes: Any) -> tuple[Measure, argparse.Namespace]:
    """A measure and its complete options: see :func:`measure`."""
    known = measures()
    if name not in known:
        raise InputError(f"unknown measure '{name}': {suggest(name, known)}")
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    known[name].options(parser.add_argument)
    actions = {action.dest: action for action in parser._actions}
    words = []
    for option, value in changes.items():
        if option not in actions:
            raise InputError(f"{name} has no option '{option}': {suggest(option, actions)}")
        words += _as_words(actions[option], option, value)
    try:
        return known[name], parser.parse_args(words)
    except argparse.ArgumentError as error:
        raise InputError(f"{name}: {error}; see docs/commands.md or --help") from None


def _as_words(action: argparse.Action, option: str, value: Any) -> list[str]:
    """What would be typed for a value, so that a program's are checked like a command's."""
    flag = action.option_strings[0]
    if action.nargs == 0:  # a switch
        if not isinstance(value, bool):
            raise InputError(f"{option}={value!r}: use True or False")
        return [flag] if value != action.default else []
    if value is None:
        if action.default is not None:
            raise InputError(f"{option}=None: leave it out for its default, {action.default}")
        return []
    several = isinstance(value, list | tuple)
    return [f"{flag}={','.join(map(str, value)) if several else value}"]


def told(batches: Iterable[dict[str, Any]], pictures: int) -> Iterator[dict[str, Any]]:
    """The batches; the first process says every few seconds how many of all ``pictures`` they had.

    Batches have a ``mask`` of the pictures that count.
    """
    import jax

    pace, seen = Pace(5.0), 0
    for batch in batches:
        yield batch
        seen += int(batch["mask"].sum())
        if pace.due() and jax.process_index() == 0:
            say(f"{seen} of {pictures} pictures")


def split_list(text: str) -> list[str]:
    """An argument type: words with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def a_list(*default: str) -> dict[str, Any]:
    """What argparse is told of a flag whose value is a list with commas."""
    return {"type": split_list, "default": list(default), "metavar": "LIST"}


def always(options: argparse.Namespace) -> bool:
    """A measure's ``needs_data``: it reads the data of the configuration."""
    return True


def never(options: argparse.Namespace) -> bool:
    """A measure's ``needs_data``: it brings its own pictures."""
    return False


def need_all_classes(session: "Session", mode: str) -> None:
    """Raises an ``InputError`` where a measure cannot answer among some classes only."""
    if session.classes is not None:
        raise InputError(f"eval.classes=data: --mode={mode} answers among all classes; use all")


def network_identity(session: "Session") -> dict[str, Any]:
    """What was measured: run, checkpoint, model."""
    return {"run": str(session.run.path), "step": session.step, "model": session.arguments}


def identity(session: "Session") -> dict[str, Any]:
    """What was measured: run, checkpoint, model, data."""
    return {
        **network_identity(session),
        "data": session.source.describe(),
        **({} if session.classes is None else {"answers_among": len(session.classes)}),
    }


def result_file(session: "Session", name: str) -> Path:
    """``<run>/evaluation/<name>.json``."""
    return session.run.path / "evaluation" / f"{name}.json"


def publish(session: "Session", name: str, result: dict[str, Any], table: str) -> None:
    """Writes the results and prints their table, in the first process."""
    import jax

    if jax.process_index() != 0:
        return
    file = result_file(session, name)
    write_json(file, result)
    print(f"{session.run.path}, checkpoint of step {session.step}\n\n{table}\n\nwritten to {file}")

"""top-1, top-5 and loss on the exact test set; the readouts of spiking networks"""

import argparse
from typing import TYPE_CHECKING, Any

from jaxbio.measures.measure import identity, publish
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    from jaxbio.tasks.classification.opened import Session

NAME = "accuracy"


def options(add: Any) -> None:
    """The measure's flags."""
    add(
        "--member",
        type=int,
        metavar="N",
        help="of a population of spiking networks, from 0; default: all",
    )


def needs_data(options: argparse.Namespace) -> bool:
    """Always."""
    return True


def run(session: "Session", options: argparse.Namespace) -> dict[str, float]:
    """Measures the exact test set."""
    return session.measure(session.batches())


def report(session: "Session", outcome: dict[str, float]) -> dict[str, Any]:
    """Prints a table; JSON in ``evaluation/accuracy.json``."""
    from jaxbio.tasks.classification.accuracy import accuracy_rows

    result = {**identity(session), **outcome}
    rows = [("test set", "result"), *accuracy_rows(outcome)]
    publish(session, NAME, result, format_table(rows))
    return result

"""The accuracy mode: measure, print, write."""

from typing import Any

from jaxbio.measures.publishing import identity, publish
from jaxbio.runs.progress import format_table
from jaxbio.tasks.classification.accuracy import accuracy_rows
from jaxbio.tasks.classification.opened import Session


def report_accuracy(session: Session) -> dict[str, Any]:
    """Top-1, top-5 and loss over the exact test set; JSON in ``evaluation/accuracy.json``."""
    measured = session.measure(session.batches())
    result = {**identity(session), **measured}
    rows = [("test set", "result"), *accuracy_rows(measured)]
    publish(session, "accuracy", result, format_table(rows))
    return result

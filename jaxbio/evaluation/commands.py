"""The modes of ``evaluate.py``: measure, print, write."""

from typing import Any

from jaxbio.evaluation.accuracy import accuracy_rows
from jaxbio.evaluation.features import report_features
from jaxbio.evaluation.publishing import identity, publish
from jaxbio.evaluation.robustness_report import report_robustness
from jaxbio.evaluation.session import Session, open_session
from jaxbio.training.progress import format_table

__all__ = ["open_session", "report_accuracy", "report_features", "report_robustness"]


def report_accuracy(session: Session) -> dict[str, Any]:
    """Top-1, top-5 and loss over the exact test set; JSON in ``evaluation/accuracy.json``."""
    measured = session.measure(session.batches())
    result = {**identity(session), **measured}
    rows = [("test set", "result"), *accuracy_rows(measured)]
    publish(session, "accuracy", result, format_table(rows))
    return result

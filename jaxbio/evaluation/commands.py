"""The modes of ``evaluate.py``: measure, print, write."""

import sys
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from jaxbio.corruptions.reference import ReferenceCorruptor
from jaxbio.evaluation.accuracy import accuracy_rows
from jaxbio.evaluation.robustness import evaluate_corruption, parse_corruptions, parse_severities
from jaxbio.evaluation.session import Session, open_session
from jaxbio.training.progress import format_table
from jaxbio.training.run_directory import read_json, write_json

__all__ = ["open_session", "report_accuracy", "report_robustness"]


def report_accuracy(session: Session) -> dict[str, Any]:
    """Top-1, top-5 and loss over the exact test set; JSON in ``evaluation/accuracy.json``."""
    measured = session.measure(session.batches())
    result = {**_identity(session), **measured}
    rows = [("test set", "result"), *accuracy_rows(measured)]
    _publish(session, "accuracy", result, format_table(rows))
    return result


def report_robustness(
    session: Session, names: list[str], severities: list[str], *, workers: int = 0
) -> dict[str, Any]:
    """Accuracy per corruption and severity; JSON in ``evaluation/robustness.json``.

    Cells that the file already holds, for the same checkpoint, data and settings, are not measured
    again: an interrupted evaluation goes on.

    Args:
      session: the model and its data.
      names: corruptions, as on the command line.
      severities: as on the command line.
      workers: processes; 0 takes one per core.
    """
    identity = {
        **_identity(session),
        "corrupt": session.config.eval.corrupt,
        "corruptions_by": "imagecorruptions",
        "seed": session.config.seed,
    }
    file = _file(session, "robustness")
    cells = _measured_cells(file, identity)
    wanted = [(n, s) for n in parse_corruptions(names) for s in parse_severities(severities)]
    missing = [cell for cell in wanted if _key(*cell) not in cells]
    for name, severity in tqdm(missing, unit="cell", disable=not sys.stderr.isatty()):
        corruptor = ReferenceCorruptor(name, severity, session.config.seed, workers=workers)
        measured = evaluate_corruption(session, corruptor, session.config.eval.corrupt)
        cells[_key(name, severity)] = measured
        if jax.process_index() == 0:
            write_json(file, {**identity, "cells": cells})
        if not sys.stderr.isatty():
            print(f"{name} {severity}: top-1 {100 * measured['top1']:.2f} %", flush=True)

    shown = [(name, severity, cells[_key(name, severity)]) for name, severity in wanted]
    rows = [("corruption", "severity", "top-1 %", "top-5 %", "loss")]
    rows += [_cell_row(name, str(severity), cell) for name, severity, cell in shown]
    mean = {
        metric: sum(cell[metric] for _, _, cell in shown) / len(shown)
        for metric in ("top1", "top5", "loss")
    }
    rows.append(_cell_row("mean", "", mean))
    note = f"corruption {identity['corrupt'].replace('_', ' ')}; not normalised by AlexNet's errors"
    result = {**identity, "cells": cells}
    _publish(session, "robustness", result, f"{format_table(rows)}\n{note}")
    return result


def _identity(session: Session) -> dict[str, Any]:
    return {
        "run": str(session.run.path),
        "step": session.step,
        "model": session.arguments,
        "data": session.source.describe(),
    }


def _measured_cells(file: Path, identity: dict[str, Any]) -> dict[str, Any]:
    if not file.exists():
        return {}
    recorded = read_json(file)
    cells = recorded.pop("cells")
    return cells if recorded == identity else {}


def _key(name: str, severity: int) -> str:
    return f"{name}/{severity}"


def _cell_row(name: str, severity: str, cell: dict[str, float]) -> tuple[str, ...]:
    top1, top5 = (f"{100 * cell[metric]:.2f}" for metric in ("top1", "top5"))
    return name, severity, top1, top5, f"{cell['loss']:.4f}"


def _file(session: Session, name: str) -> Path:
    return session.run.path / "evaluation" / f"{name}.json"


def _publish(session: Session, name: str, result: dict[str, Any], table: str) -> None:
    if jax.process_index() != 0:
        return
    file = _file(session, name)
    write_json(file, result)
    print(f"{session.run.path}, checkpoint of step {session.step}\n\n{table}\n\nwritten to {file}")

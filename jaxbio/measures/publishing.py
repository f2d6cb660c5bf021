"""What every mode of evaluation says of its run, and where its results go."""

from pathlib import Path
from typing import Any

import jax

from jaxbio.files import write_json
from jaxbio.tasks.classification.opened import Session


def identity(session: Session) -> dict[str, Any]:
    """What was measured: run, checkpoint, model, data."""
    return {
        "run": str(session.run.path),
        "step": session.step,
        "model": session.arguments,
        "data": session.source.describe(),
    }


def result_file(session: Session, name: str) -> Path:
    """``<run>/evaluation/<name>.json``."""
    return session.run.path / "evaluation" / f"{name}.json"


def publish(session: Session, name: str, result: dict[str, Any], table: str) -> None:
    """Writes the results and prints their table, in the first process."""
    if jax.process_index() != 0:
        return
    file = result_file(session, name)
    write_json(file, result)
    print(f"{session.run.path}, checkpoint of step {session.step}\n\n{table}\n\nwritten to {file}")

"""The numbers of a run on disk: ``metrics.jsonl`` and TensorBoard."""

import json
import os
from pathlib import Path
from typing import Any


class MetricsLog:
    """Appends metrics to ``metrics.jsonl`` and TensorBoard.

    Lines after the step from which a run goes on are dropped, so that an interrupted run's file
    holds every step once, as an uninterrupted one's does.

    Args:
      file: ``metrics.jsonl``.
      start_step: step from which the run goes on.
      tensorboard: write events too.
      enabled: False in all processes but the first.
    """

    def __init__(self, file: Path, start_step: int, *, tensorboard: bool, enabled: bool = True):
        self._file = self._events = None
        if not enabled:
            return
        _keep_until(file, start_step)
        self._file = file.open("a")
        if tensorboard:
            from tensorboardX import SummaryWriter  # imports protobuf: only where it is wanted

            self._events = SummaryWriter(str(file.parent), purge_step=start_step + 1)

    def write(self, step: int, split: str, metrics: dict[str, Any]) -> None:
        """One line: the step, ``train`` or ``test``, and numbers."""
        if self._file is not None:
            self._file.write(json.dumps({"step": step, "split": split, **metrics}) + "\n")
            self._file.flush()
        if self._events is not None:
            for name, value in metrics.items():
                self._events.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        """Flushes and closes the files."""
        if self._file is not None:
            self._file.close()
        if self._events is not None:
            self._events.close()


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl``; none where there is no file.

    A line that is being written, or was when its run was killed, is left out.
    """
    if not file.is_file():
        return []
    lines = []
    for text in file.read_text().splitlines():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(line, dict) and {"step", "split"} <= line.keys():
            lines.append(line)
    return lines


def _keep_until(file: Path, step: int) -> None:
    if not file.exists():
        return
    kept = [json.dumps(line) + "\n" for line in read_metrics(file) if line["step"] <= step]
    temporary = file.with_suffix(".tmp")
    temporary.write_text("".join(kept))
    os.replace(temporary, file)

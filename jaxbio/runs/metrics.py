"""The numbers of a run: summed on the device between log lines, kept in ``metrics.jsonl`` and
TensorBoard."""

import json
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.runs.state import NEVER

_LAST = ("learning_rate", "grad_norm")  # of the newest step; all the others are sums


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


class MetricsWindow:
    """Metrics since the last log line, summed on the device: one transfer per line.

    Args:
      batch_size: images per step.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._totals: dict[str, jax.Array] | None = None
        self.restart_clock()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of one step."""
        self._totals = metrics if self._totals is None else _combine(self._totals, metrics)
        self._steps += 1

    def restart_clock(self) -> None:
        """Leaves out of the speed what was not training."""
        self._began, self._steps = time.monotonic(), 0

    def bad_step(self) -> int | None:
        """The first step in the window whose loss or gradient is not finite."""
        step = NEVER if self._totals is None else int(self._totals["bad_step"])
        return None if step == NEVER else step

    def close(self) -> dict[str, float]:
        """Means over the window; begins the next one."""
        totals = jax.device_get(self._totals)
        seconds = time.monotonic() - self._began
        count = float(totals.pop("count"))
        del totals["bad_step"]
        metrics = {
            name: float(total) if name in _LAST else float(total) / count
            for name, total in totals.items()
        }
        metrics["images_per_s"] = self._steps * self._batch_size / seconds
        self._totals = None
        self.restart_clock()
        return metrics


@partial(jax.jit, donate_argnums=0)
def _combine(totals: dict[str, jax.Array], new: dict[str, jax.Array]) -> dict[str, jax.Array]:
    combined = {k: v if k in _LAST else totals[k] + v for k, v in new.items()}
    return {**combined, "bad_step": jnp.minimum(totals["bad_step"], new["bad_step"])}

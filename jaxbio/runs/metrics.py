"""The numbers of a run: summed on the device between log lines, kept in ``metrics.jsonl`` and
TensorBoard.
"""

import contextlib
import json
import logging
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.errors import WriteError
from jaxbio.files import write_text
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.runs.state import NEVER
from jaxbio.runs.tensorboard import Events

_logger = logging.getLogger("jaxbio")

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

    Raises:
        WriteError: from here and from :meth:`write`: the disk does not take ``metrics.jsonl``.
    """

    def __init__(self, file: Path, start_step: int, *, tensorboard: bool, enabled: bool = True):
        self._path = file
        self._file: Any = None
        self._events: Events | None = None
        if not enabled:
            return
        if file.exists():
            copy_metrics(file, file, start_step)
        try:
            self._file = file.open("ab", buffering=0)
        except OSError as error:
            raise WriteError.of(file, error) from error
        if tensorboard:
            with self._telling_tensorboard():
                self._events = Events(file.parent, start_step + 1)

    def write(self, step: int, split: str, metrics: dict[str, Any]) -> None:
        """One line: the step, ``train`` or ``test``, and numbers."""
        if self._file is not None:
            line = (json.dumps({"step": step, "split": split, **metrics}) + "\n").encode()
            try:
                while line:  # a disk that becomes full takes a part
                    line = line[self._file.write(line) :]
            except OSError as error:
                raise WriteError.of(self._path, error) from error
        if self._events is not None:
            with self._telling_tensorboard():
                self._events.write(step, {f"{split}/{name}": v for name, v in metrics.items()})

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()
        if self._events is not None:
            with self._telling_tensorboard():
                self._events.close()

    @contextlib.contextmanager
    def _telling_tensorboard(self) -> Iterator[None]:
        """Its events show what ``metrics.jsonl`` holds: without them a run goes on."""
        try:
            yield
        except OSError as error:
            self._events = None
            _logger.warning("no more TensorBoard events (%s); the run goes on", error.strerror)


def copy_metrics(file: Path, target: Path, step: int) -> None:
    """Copies the lines of ``metrics.jsonl`` up to a step, for a run that begins there."""
    kept = [line for line in read_metrics(file) if line["step"] <= step]
    write_text(target, "".join(json.dumps(line) + "\n" for line in kept))


class MetricsWindow:
    """Metrics since the last log line, summed on the device: one transfer per line.

    Args:
        batch_size: images per step.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._totals: Mapping[str, jax.Array] | None = None
        self.restart_clock()

    def add(self, metrics: Mapping[str, jax.Array]) -> None:
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

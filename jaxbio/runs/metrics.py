"""The numbers of a run: summed on the device between log lines, kept in ``metrics.jsonl`` and
TensorBoard.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError, WriteError
from jaxbio.files import write_text
from jaxbio.files.reading import check_regular
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
        self._file: Any
        self._events: Events | None
        self._path, self._file, self._events = file, None, None
        if not enabled:
            return
        _keep_until(file, start_step)
        try:
            self._file = file.open("ab", buffering=0)
        except OSError as error:
            raise WriteError.of(file, error) from error
        if tensorboard:
            self._tell_tensorboard(lambda: Events(file.parent, start_step + 1))

    def write(self, step: int, split: str, metrics: dict[str, Any]) -> None:
        """One line: the step, ``train`` or ``test``, and numbers."""
        if self._file is not None:
            line = (json.dumps({"step": step, "split": split, **metrics}) + "\n").encode()
            try:
                while line:  # a disk that becomes full takes a part
                    line = line[self._file.write(line) :]
            except OSError as error:
                raise WriteError.of(self._path, error) from error
        if (events := self._events) is not None:
            numbers = {f"{split}/{name}": value for name, value in metrics.items()}
            self._tell_tensorboard(
                lambda: events.write(step, numbers) or events  # type: ignore[func-returns-value]
            )

    def close(self) -> None:
        """Closes the files."""
        if self._file is not None:
            self._file.close()
        if (events := self._events) is not None:
            self._tell_tensorboard(events.close)

    def _tell_tensorboard(self, what: Callable[[], Events | None]) -> None:
        """Its events show what ``metrics.jsonl`` holds: without them a run goes on."""
        try:
            self._events = what()
        except OSError as error:
            self._events = None
            _logger.warning("no more TensorBoard events (%s); the run goes on", error.strerror)


class MetricsReader:
    """Reads ``metrics.jsonl`` again and again, each time what has come since.

    A line that is being written, or was when its run was killed, or that is damaged, is left out.

    Args:
        file: need not exist, and may be replaced by a shorter one.

    Attributes:
        damaged: number of whole lines that were left out.
    """

    def __init__(self, file: Path):
        self._file = file
        self._lines: list[dict[str, Any]] = []
        self._inode, self._end = 0, 0
        self.damaged = 0

    def lines(self) -> list[dict[str, Any]]:
        """All lines so far; each has ``step`` and ``split``."""
        try:
            check_regular(self._file)
            with self._file.open("rb") as file:
                found = os.fstat(file.fileno())
                if found.st_ino != self._inode or found.st_size < self._end:
                    self._lines, self._inode, self._end, self.damaged = [], found.st_ino, 0, 0
                file.seek(self._end)
                new = file.read()
        except (OSError, InputError):  # none yet, or something else in its place
            return self._lines
        whole = new[: new.rfind(b"\n") + 1]
        self._end += len(whole)
        texts = whole.splitlines()
        lines = _parse(texts)
        self._lines += lines
        self.damaged += len(texts) - len(lines)
        # A last line without its end may be whole; it is read again the next time.
        return self._lines + _parse([new[len(whole) :]])


def read_metrics(file: Path, *keys: str) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` that hold numbers; none where there is no file.

    Args:
        file: see :class:`MetricsReader`.
        keys: what a line of either split has to have to count.
    """
    lines = MetricsReader(file).lines()
    return [line for line in lines if all(isinstance(line.get(k), int | float) for k in keys)]


def _parse(texts: list[bytes]) -> list[dict[str, Any]]:
    try:  # all at once is three times as fast
        values = json.loads(b"[" + b",".join(texts) + b"]")
    except (ValueError, RecursionError):
        values = []
    if len(values) != len(texts):
        values = [_parse_line(text) for text in texts]
    return [value for value in values if _is_line(value)]


def _parse_line(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_line(value: Any) -> bool:
    return (
        type(value) is dict
        and type(value.get("step")) is int
        and 0 <= value["step"] <= NEVER
        and type(value.get("split")) is str
    )


def _keep_until(file: Path, step: int) -> None:
    if file.exists():
        kept = [line for line in read_metrics(file) if line["step"] <= step]
        write_text(file, "".join(json.dumps(line) + "\n" for line in kept))


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

"""What the training loop asks of a task, and the tasks that there are.

The loop owns time and files; a task owns what is computed. Networks that learn by gradients from
labels, by STDP from spikes or from neural data are tasks of one loop.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import jax
from ml_collections import ConfigDict

import jaxbio
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.schedules import Periods
from jaxbio.runs.state import StateT
from jaxbio.tasks import TASKS

Results = dict[str, Any]  # a JSON object
Metrics = Mapping[str, jax.Array]
BatchT = TypeVar("BatchT")


class Task(Protocol[StateT, BatchT]):
    """The objects of a run: made of a configuration, they build and check everything, and compute
    nothing yet; an ``InputError`` tells what is wrong.

    Attributes:
        images_per_step: images that a step learns from.
        like: the state's shapes, dtypes and shardings.
        best_by: the entry of the results that decides which checkpoint is the best; larger is
            better.
    """

    config: ConfigDict
    periods: Periods
    like: StateT
    best_by: str
    images_per_step: int

    def initial_state(self) -> StateT:
        """The state at step 0."""

    def train_step(self) -> Callable[[StateT, BatchT], tuple[StateT, Metrics]]:
        """The compiled step; it takes the memory of the state that it is given.

        Metrics are device scalars: ``count`` and sums that become means per example when divided by
        it, ``learning_rate`` and ``grad_norm`` (optional, the last step's), and ``bad_step``: the
        step if its numbers are not finite, else ``jaxbio.runs.state.NEVER``.
        """

    def warm_up(self, state: StateT) -> None:
        """Compiles what a test needs, where that takes long: a process that is told to stop while
        it compiles ends at once, and before the first step that loses nothing.
        """

    def batches(self, start_step: int) -> Iterable[BatchT]:
        """The training data from ``start_step`` to the end of the run; functions of the step."""

    def test(self, state: StateT) -> tuple[StateT, Results]:
        """Measures; the state may take something along (a schedule's memory, a calibration)."""

    def describe(self, state: StateT) -> str:
        """What is trained on what, for the first lines on the terminal."""

    def progress_line(self, metrics: Mapping[str, float]) -> str:
        """The means of a log interval in a few words."""

    def headline(self, results: Results) -> str:
        """A test's results in a few words."""

    def result_rows(self, results: Results) -> list[tuple[str, str]]:
        """The final results as the rows of a table."""

    def record(self, new: bool) -> Results:
        """What the configuration was resolved to, JSON-able, for ``config.json``; ``data`` in it
        must not change between the sessions of a run.

        ``new``: the run begins, and the answer will be written; an ``InputError`` about what it
        starts from leaves nothing behind. Else only ``data`` is looked at.
        """

    def watch(self, run: RunDirectory, state: StateT) -> None:
        """Called at every log line of the first process: pictures of the training so far."""

    def write_report(self, run: RunDirectory, state: StateT) -> None:
        """The figures of a finished run, in ``<run>/report``."""


def made_with(**versions: str) -> Results:
    """For the record of a run: the versions of what it was begun with, and the devices."""
    return {
        "versions": {"jaxbio": jaxbio.__version__, "jax": jax.__version__, **versions},
        "devices": [str(device.device_kind) for device in jax.devices()],
    }


def prepare(config: ConfigDict) -> Task:
    """Builds and checks the task that ``config.task`` names; computes nothing yet.

    Raises:
        InputError: wrong configuration or data.
    """
    module = importlib.import_module(f"jaxbio.tasks.{config.task}.task")
    return getattr(module, TASKS[config.task])(config)

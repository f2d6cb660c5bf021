"""What the training loop asks of an experiment, and the experiments that there are.

The loop owns time and files; an experiment owns what is computed. Networks that learn by gradients
from labels, by STDP from spikes or from neural data are experiments of one loop.
"""

import importlib
from typing import Any, Protocol

from ml_collections import ConfigDict

from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.state import TrainState

Results = dict[str, Any]


class Experiment(Protocol):
    """The objects of a run; ``jaxbio.tasks.classification.task.Setup`` is the one for classifiers.

    Attributes:
      config: of the task, see its ``config.py``.
      images_per_step: over all devices.
      periods: when things happen, in steps.
      like: the state's shapes, dtypes and shardings.
      best_by: the entry of the results that decides which checkpoint is the best; larger is better.
    """

    config: ConfigDict
    images_per_step: int
    periods: Any
    like: TrainState
    best_by: str

    def initial_state(self) -> TrainState:
        """The state at step 0."""

    def train_step(self) -> Any:
        """The jitted ``step(state, batch) -> (state, metrics)``.

        Metrics are device scalars: ``count`` and sums that become means per example when divided by
        it, ``learning_rate`` and ``grad_norm`` (optional, the last step's), and ``bad_step``: the
        step if its numbers are not finite, else ``jaxbio.runs.state.NEVER``.
        """

    def train_batches(self, start_step: int) -> Any:
        """The batches from ``start_step`` to the end, on the devices; functions of the step."""

    def test(self, state: TrainState) -> tuple[TrainState, Results]:
        """Measures; the state may take something along (a schedule's memory, a calibration)."""

    def describe(self, state: TrainState) -> str:
        """What is trained on what, for the first lines on the terminal."""

    def progress_line(self, metrics: dict[str, float]) -> str:
        """The means of a log interval in a few words."""

    def headline(self, results: Results) -> str:
        """A test's results in a few words."""

    def result_rows(self, results: Results) -> list[tuple[str, str]]:
        """The final results as the rows of a table."""

    def record(self, new: bool) -> dict[str, Any]:
        """What the configuration was resolved to, JSON-able, for ``config.json``; ``data`` in it
        must not change between the sessions of a run.

        ``new``: the run begins, and the answer will be written; an ``InputError`` about what it
        starts from leaves nothing behind. Else only ``data`` is looked at.
        """

    def watch(self, run: RunDirectory, state: TrainState) -> None:
        """Called at every log line of the first process: pictures of the training so far."""

    def write_report(self, run: RunDirectory, state: TrainState) -> None:
        """The figures of a finished run, in ``<run>/report``."""


def prepare(config: ConfigDict) -> Experiment:
    """Builds and checks the experiment that ``config.task`` names; computes nothing yet.

    Raises:
      InputError: wrong configuration or data.
    """
    return importlib.import_module(f"jaxbio.tasks.{config.task}.task").prepare(config)

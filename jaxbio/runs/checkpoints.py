"""Checkpoints: written asynchronously and atomically, verified when read.

A checkpoint holds the items of its state, of which ``variables`` is what evaluation reads
(converted weights have only that), and ``digests``: a checksum of each item's bits, the score of
the test at that step, and a checksum of these. A checkpoint that cannot be read, or whose bits are
not those that were saved, is set aside with a warning and the one before it is taken.
"""

import contextlib
import functools
import logging
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from jaxbio.errors import InputError, WriteError
from jaxbio.files import write_json
from jaxbio.files.reading import reason
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.state import State, StateT
from jaxbio.runs.verified import (
    DamagedCheckpointError,
    arguments_of,
    digest,
    read_item,
    read_scores,
)

_logger = logging.getLogger("jaxbio")
# What Orbax's threads fail at is raised by the next call; it would show their tracebacks besides.
logging.getLogger("absl").addFilter(lambda r: not (r.exc_info and "orbax" in r.pathname))
# Where several arrays fail, one is raised and asyncio tells of the others.
logging.getLogger("asyncio").addFilter(
    lambda r: not (r.exc_info and "os_error_code" in str(r.exc_info[1]))
)


def _show_unraisable(found: Any, shown: Callable[[Any], None]) -> None:
    """Leaves out what TensorStore says when a save has failed before all of it was written."""
    if (found.exc_type, str(found.exc_value)) != (RuntimeError, "Event loop is closed"):
        shown(found)


sys.unraisablehook = functools.partial(_show_unraisable, shown=sys.unraisablehook)


class Checkpointer:
    """Saves and restores the training state of one run.

    Args:
        directory: ``<run>/checkpoints``.
        keep_last: newest checkpoints to keep.
        keep_best: best checkpoints to keep besides.
        best_by: the metric that decides which is the best; larger is better.
    """

    def __init__(
        self, directory: Path, *, keep_last: int = 2, keep_best: int = 1, best_by: str = "top1"
    ):
        self._directory = directory
        self._best_by = best_by
        self._options = ocp.CheckpointManagerOptions(
            preservation_policy=_NewestAndBest(directory, max(1, keep_last), keep_best),
            cleanup_tmp_directories=True,
            step_prefix="step",
        )
        with _writing(directory):
            self._manager = _open_manager(directory, self._options)

    def save(self, state: State, results: Mapping[str, Any] | None = None) -> None:
        """Starts to save; the arrays are copied before it returns.

        Args:
            state: may be donated to the next step afterwards.
            results: of a test of this very state, if there was one.

        Raises:
            WriteError: this or the save before it failed.
        """
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        items = state.items()
        notes: dict[str, Any] = {name: digest(item) for name, item in items.items()}
        if results is not None:
            notes["score"] = float(results[self._best_by])
        with _writing(self._directory):
            self._manager.save(step, args=arguments_of(items, notes))

    def restore_latest(self, like: StateT) -> StateT | None:
        """The newest readable state, or None if there is no checkpoint.

        Args:
            like: the state's shapes, dtypes and shardings (``jax.ShapeDtypeStruct`` leaves).

        Raises:
            CheckpointMismatchError: the checkpoint belongs to another model.
            DamagedCheckpointError: there are checkpoints, and none can be read.
        """
        damaged: dict[int, Exception] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            path = self._directory / f"step_{step}"
            try:
                state = _read_state(self._manager, step, like, path)
            except DamagedCheckpointError as error:
                damaged[step] = error
                continue
            for bad_step, error in damaged.items():  # type: ignore[misc]
                self._set_aside(bad_step, error)  # type: ignore[misc]
            return state
        if damaged:  # left in place: whatever is wrong may be wrong with this machine
            first = next(iter(damaged.values()))
            raise DamagedCheckpointError(
                f"no checkpoint in {self._directory} can be read: restore them or choose another "
                f"--workdir ({first})"
            )
        return None

    def last_path(self) -> Path | None:
        """Where the newest checkpoint lies."""
        step = self._manager.latest_step()
        return None if step is None else self._directory / f"step_{step}"

    def wait(self) -> None:
        """Blocks until everything is on disk.

        Raises:
            WriteError: it could not be written.
        """
        with _writing(self._directory):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits, then releases the threads.

        Raises:
            WriteError: something could not be written.
        """
        with _writing(self._directory):
            self._manager.close()

    def _set_aside(self, step: int, error: Exception) -> None:
        target = self._directory.parent / "damaged" / f"step_{step}"
        _logger.warning("%s; moved to %s, going back to the one before it", error, target)
        with _writing(target):
            self._manager.close()
            if jax.process_index() == 0:
                target.parent.mkdir(exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)
                shutil.move(self._directory / f"step_{step}", target)
            if jax.process_count() > 1:
                multihost_utils.sync_global_devices("damaged checkpoint set aside")
            self._manager = _open_manager(self._directory, self._options)


class _Manager(ocp.CheckpointManager):
    """Orbax's, which opens no checkpoint at all if the scores of one are damaged."""

    def _get_metrics(self, step: int) -> None:
        """No scores: version 0.1.0 left them to Orbax; see :func:`read_scores`."""


class _NewestAndBest:
    """Which checkpoints stay: a preservation policy of Orbax that reads the scores itself."""

    def __init__(self, directory: Path, newest: int, best: int):
        self._directory, self._newest, self._best = directory, newest, best

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> Sequence[bool]:
        del context
        steps = [info.step for info in checkpoints]
        scores = read_scores(self._directory, steps)
        best = sorted(scores, key=lambda step: (scores[step], step))[-self._best :]
        kept = {*steps[-self._newest :], *(best if self._best else ())}
        return [step in kept for step in steps]


def load_variables(
    run: RunDirectory, like: dict[str, Any], which: str = "best"
) -> tuple[dict[str, Any], int]:
    """Reads a model's variables from a run directory.

    Args:
        run: a training run or converted weights.
        like: the model's variables as ``jax.ShapeDtypeStruct`` with shardings. The fixed filters'
            shapes come from the file: a converted front-end brings its own groups.
        which: ``best``, ``last`` or a step.

    Returns:
        The variables (averaged ones where the run kept averages) and the checkpoint's step.

    Raises:
        CheckpointMismatchError: the checkpoint belongs to another model.
        DamagedCheckpointError: it cannot be read.
        InputError: there is no such checkpoint.
    """
    while True:
        with _open_to_read(run) as manager:
            steps = manager.all_steps()
            step = _choose_step(steps, which, run)
            path = run.checkpoints / f"step_{step}"
            try:
                return _read_variables(manager, step, like, path), step
            except DamagedCheckpointError as error:
                if path.is_dir():
                    others = [other for other in sorted(steps) if other != step]
                    remedy = f"--checkpoint={others[-1]} is another" if others else "restore it"
                    raise DamagedCheckpointError(
                        f"{error}: {remedy}, or train again, which goes back to the one before it"
                    ) from error
        # It was removed meanwhile, by a training that has newer ones: choose again.


def _read_variables(
    manager: "_Manager", step: int, like: dict[str, Any], path: Path
) -> dict[str, Any]:
    """A model's variables, the averaged ones where there are such."""
    if not (path / "ema").exists():
        return read_item(manager, step, "variables", like, path)
    kept = {name: v for name, v in like.items() if name not in ("params", "constants")}
    ema_like = {"params": like["params"], "model_state": kept}
    ema = read_item(manager, step, "ema", ema_like, path)
    constants = read_item(manager, step, "variables", like, path)["constants"]
    return {"params": ema["params"], "constants": constants, **ema["model_state"]}


def load_state(run: RunDirectory, like: StateT, step: int) -> StateT:
    """Reads the whole training state at a step; changes nothing in the run.

    Args:
        run: a training run.
        like: the state's shapes, dtypes and shardings.
        step: of the checkpoint.

    Raises:
        CheckpointMismatchError: the checkpoint belongs to another model.
        InputError: there is no such checkpoint, it is damaged, or of another optimiser.
    """
    with _open_to_read(run) as manager:
        steps = sorted(manager.all_steps())
        if step not in steps:
            raise InputError(
                f"{run.path} has no checkpoint of step {step}: it has {', '.join(map(str, steps))} "
                "(checkpoint.keep_last keeps more)"
            )
        path = run.checkpoints / f"step_{step}"
        try:
            return _read_state(manager, step, like, path)
        except DamagedCheckpointError as error:
            raise InputError(
                f"{path} does not fit this configuration (optimizer, train.ema_decay or "
                f"model.freeze differ), or is damaged: {error}"
            ) from error


def _read_state(manager: "_Manager", step: int, like: StateT, path: Path) -> StateT:
    items = {n: read_item(manager, step, n, item, path) for n, item in like.items().items()}
    return like.with_items(step, items)


def export_variables(
    workdir: str | Path,
    model_config: dict[str, Any],
    variables: dict[str, Any],
    *,
    preprocessing: Preprocessing | None = None,
    provenance: dict[str, Any],
) -> None:
    """Writes variables as a run directory that evaluation takes.

    Args:
        workdir: a new or empty directory.
        model_config: ``name``, ``num_classes``, ``image_size``, ``front_end``,
            ``front_end_options`` and ``activation``: the arguments of :func:`jaxbio.create_model`.
        variables: ``params``, ``constants``, ``batch_stats``...
        preprocessing: what the model expects of its images; None if that is not known.
        provenance: where the variables came from; kept in ``config.json``.

    Raises:
        InputError: the directory is not writable or holds something else.
    """
    images = {"preprocessing": asdict(preprocessing)} if preprocessing else {}
    config = {"model": model_config, **images, "provenance": provenance}
    write_complete_run(RunDirectory(workdir), variables, config)


def write_complete_run(
    run: RunDirectory, variables: dict[str, Any], config: dict[str, Any], step: int = 0
) -> None:
    """Writes a run that was not trained here: one checkpoint, and what it is.

    Args:
        run: a new or empty directory.
        variables: ``params``, ``constants`` and what else the model has.
        config: for ``config.json``.
        step: of the checkpoint.

    Raises:
        InputError: the directory is not writable or holds something else.
    """
    run.create()
    if any(run.path.iterdir()):
        raise InputError(f"{run.path} is not empty: choose another --output")
    variables = {"constants": {}, **jax.tree.map(jnp.asarray, dict(variables))}
    options = ocp.CheckpointManagerOptions(step_prefix="step")
    with _writing(run.checkpoints), _open_manager(run.checkpoints, options) as manager:
        notes = {"variables": digest(variables)}
        manager.save(step, args=arguments_of({"variables": variables}, notes))
    write_json(run.config_file, config)  # last: a directory with a config.json is complete


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Whatever Orbax meets on a disk that is full, read-only or gone, as one line."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise WriteError.of(path, error) from error
    except (ValueError, RuntimeError) as error:  # of TensorStore, and of Orbax's threads
        found = re.search(r"([^:]+) \[os_error_code", str(error))
        cause = OSError(found[1].strip() if found else reason(error))
        raise WriteError.of(path, cause) from error


def _open_manager(directory: Path, options: ocp.CheckpointManagerOptions) -> _Manager:
    handlers = {name: ocp.StandardCheckpointHandler() for name in ("variables", "training", "ema")}
    handlers["digests"] = ocp.JsonCheckpointHandler()
    return _Manager(directory, options=options, item_handlers=handlers)


def _open_to_read(run: RunDirectory) -> _Manager:
    if not run.checkpoints.is_dir():
        raise InputError(f"{run.path} has no checkpoints: train it first, or give another run")
    options = ocp.CheckpointManagerOptions(read_only=True, step_prefix="step")
    return _open_manager(run.checkpoints, options)


def _choose_step(steps: Sequence[int], which: str, run: RunDirectory) -> int:
    if not steps:
        raise InputError(f"{run.checkpoints} holds no checkpoint: train first, or set --workdir")
    if which == "best":
        scores = read_scores(run.checkpoints, steps)
        return max(scores or steps, key=lambda step: (scores.get(step, 0.0), step))
    if which == "last":
        return max(steps)
    if which.isdecimal() and int(which) in steps:
        return int(which)
    raise InputError(f"--checkpoint={which}: use best, last or one of {sorted(steps)}")

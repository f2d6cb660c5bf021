"""The training loop: one for every task.

The loop owns time: what happens after which step. Everything that computes is elsewhere.
"""

import functools
import logging
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jaxbio.errors import InputError, NonFiniteError, WriteError
from jaxbio.files import write_json
from jaxbio.runs.checkpoints import Checkpointer, load_state
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.interrupts import Interrupts
from jaxbio.runs.lock import RunLock
from jaxbio.runs.metrics import MetricsLog, MetricsWindow, copy_metrics
from jaxbio.runs.processes import ProcessLostError, shared_failure
from jaxbio.runs.progress import Progress, format_table, say
from jaxbio.runs.state import State
from jaxbio.runs.waiting import program_key, waiting
from jaxbio.tasks.config import check_config, check_training, config_to_go_on, restored_config
from jaxbio.tasks.extension import Beginning, check_extension, lengthen
from jaxbio.tasks.task import Results, Task, prepare

_logger = logging.getLogger("jaxbio")

_LOOK_EVERY = 100  # steps: at the clock, where log lines are further apart


def train(
    config: ConfigDict, workdir: str, *, extend: str = "", beginning: Beginning | None = None
) -> dict[str, Any] | None:
    """Trains, or resumes, or says that the run has finished.

    Args:
        config: see ``configs/base.py``.
        workdir: the run directory, made if need be.
        extend: makes a run longer than ``config`` says: epochs, or such as ``500steps``.
        beginning: a checkpoint of another run that a new one begins with.

    Returns:
        The final results (of a classifier ``top1``, ``top5``, ``loss``, ...); None if the run was
        asked to stop early.

    Raises:
        InputError: wrong configuration, data or run directory.
        NonFiniteError: the loss or a gradient became NaN or infinite.
        ProcessLostError: another process of the job is gone.
    """
    check_config(config)
    check_training(config)
    if extend:
        check_extension(config, extend)
    run = RunDirectory(workdir)
    run.create()
    try:
        with RunLock(run.path) if jax.process_index() == 0 else nullcontext() as lock:
            return _train(config, run, lock, extend, beginning)
    except BaseException as error:
        run.remove_if_empty()
        if (failure := shared_failure(error)) is not None:
            raise ProcessLostError(failure) from error
        raise


def _train(
    config: ConfigDict,
    run: RunDirectory,
    lock: RunLock | None,
    extend: str,
    beginning: Beginning | None,
) -> Results | None:
    """All of :func:`train`; ``lock`` is None in all processes but the first."""
    speaks = lock is not None
    recorded, then = run.recorded(), None
    if recorded is not None:
        then = restored_config(recorded).to_dict()
        config = config_to_go_on(config, recorded)
        beginning = _same_beginning(recorded, beginning, run)
        if extend:
            config, then = lengthen(config, then, extend)
    elif extend:
        raise InputError(f"--extend: {run.path} is not trained yet: train it without --extend")
    tell = say if speaks else None
    with waiting("opening data and network", tell=tell):
        task = prepare(config)
    total = task.periods.total
    # Read before anything is written: a checkpoint that does not fit leaves nothing behind.
    state = _begin(task, beginning) if recorded is None and beginning is not None else None
    if speaks:
        resolved = task.record(new=recorded is None)
        if beginning is not None:
            resolved["from_checkpoint"] = beginning._asdict()
        run.record_config(config.to_dict(), resolved, then)
        if extend:
            run.record_length(config.train.to_dict(), total)
        if state is not None and beginning is not None:
            copy_metrics(RunDirectory(beginning.run).metrics_file, run.metrics_file, beginning.step)
    results = run.results()
    if results is not None and extend and results.get("step", total) < total:
        if speaks:
            run.results_file.unlink()
        results = None
    if results is not None:
        if speaks:
            say(f"{run.path} has finished: nothing to do.\n{_finished_table(task, run, results)}")
        return results

    checkpointer = Checkpointer(
        run.checkpoints,
        keep_last=config.checkpoint.keep_last,
        keep_best=config.checkpoint.keep_best,
        best_by=task.best_by,
    )
    device = jax.devices()[0].device_kind
    program = program_key(config.to_dict(), device, jax.device_count())
    found = checkpointer.restore_latest(task.like)
    resumed = found is not None or beginning is not None
    if found is not None:
        state = found
    elif state is None:
        with waiting("creating the network", program, tell=tell):
            state = task.initial_state() if beginning is None else _begin(task, beginning)
    if speaks:
        _announce(task, state, run, resumed)

    start = int(state.step)
    loop = _Loop(
        run_directory=run,
        lock=lock,
        task=task,
        checkpointer=checkpointer,
        progress=Progress(total, start, enabled=speaks),
        log=MetricsLog(run.metrics_file, start, tensorboard=config.log.tensorboard, enabled=speaks),
        program=program,
    )
    try:
        state, tested = loop.run(state)
        checkpointer.wait()
    finally:
        loop.progress.close()
        loop.log.close()
        if shared_failure(sys.exception()) is None:  # else it would wait for who is gone
            checkpointer.close()

    if tested is None:
        if speaks:
            step = int(state.step)
            say(f"stopped: saved at step {step} of {total}; repeat the command to go on")
        return None
    results = {
        "step": total,
        **tested,
        "parameters": state.count_parameters(),
        "run": str(run.path),
    }
    if speaks:
        cast(RunLock, lock).check()
        with waiting("drawing the report", tell=tell):
            _draw(task.write_report, run, state)
        write_json(run.results_file, results)
        say(f"\n{_table(task, results)}")
    return results


def _begin(task: Task, beginning: Beginning) -> State:
    if beginning.step >= task.periods.total:
        raise InputError(
            f"--from_checkpoint={beginning.step}: the training ends at step {task.periods.total}: "
            "give an older checkpoint, or a longer training"
        )
    return load_state(RunDirectory(beginning.run), task.like, beginning.step)


def _same_beginning(
    recorded: dict[str, Any], wanted: Beginning | None, run: RunDirectory
) -> Beginning | None:
    """What a recorded run began with; an ``InputError`` where something else is wanted."""
    found = recorded["resolved"].get("from_checkpoint")
    known = None if found is None else Beginning(str(found["run"]), int(found["step"]))
    if wanted is not None and wanted != known:
        there = "no checkpoint" if known is None else f"step {known.step} of {known.run}"
        raise InputError(
            f"--from_checkpoint: {run.path} holds a run that began with {there}: choose another "
            "--workdir"
        )
    return known


@dataclass
class _Loop:
    """What the steps of one process share."""

    run_directory: RunDirectory
    lock: RunLock | None
    task: Task
    checkpointer: Checkpointer
    progress: Progress
    log: MetricsLog
    program: str  # names what is compiled, to remember how long it takes

    def run(self, state: State) -> tuple[State, Results | None]:
        """Steps to the end, or to an interrupt. Returns the final test, None after an interrupt."""
        config, periods = self.task.config, self.task.periods
        train_step = self.task.train_step()
        window = MetricsWindow(self.task.images_per_step)
        step = start = int(state.step)
        tested, stop = None, False
        tell = self.progress.say if self.lock is not None else None
        if start < periods.total:  # all of it before there is something to lose
            with waiting("compiling the test", self.program, tell=tell):
                self.task.warm_up(state)
        last_save = time.monotonic()
        compiling = waiting("compiling the training step", self.program, tell=tell)
        with Interrupts() as interrupts, ExitStack() as until_compiled:
            if start < periods.total:
                until_compiled.enter_context(compiling)
            for batch in self.task.batches(start):
                state, metrics = train_step(state, batch)
                step += 1
                window.add(metrics)
                if step > start + 1:
                    self.progress.advance()
                else:
                    jax.block_until_ready(metrics)
                    until_compiled.close()
                    interrupts.arm()
                    window.restart_clock()
                    self.progress.advance_first()

                done, stop = step == periods.total, interrupts.stop_requested(step)
                log_now = done or _every(config.log.every_steps, step)
                test_now = done or (_every(periods.evaluate, step) and not stop)
                look = log_now or _every(_LOOK_EVERY, step)
                late = look and _minutes_over(last_save, config.checkpoint.every_minutes)
                save_now = done or stop or late or _every(periods.checkpoint, step)
                if log_now or test_now or save_now:
                    self._check_finite(window)
                    if self.lock is not None:
                        self.lock.check()
                if log_now:
                    means = window.close()
                    self.log.write(step, "train", means)
                    self.progress.show(self.task.progress_line(means), means["images_per_s"])
                    if self.lock is not None:
                        _draw(self.task.watch, self.run_directory, state)
                tested = None
                if test_now:
                    state, tested = self._test(step, state)
                    window.restart_clock()
                if save_now:
                    self.checkpointer.save(state, tested)
                    last_save = time.monotonic()
                if stop:
                    break
        if step < periods.total:
            return state, None
        if tested is None:  # resumed after the last step, before the results were written
            with waiting("testing", tell=tell):
                state, tested = self.task.test(state)
        return state, tested

    def _check_finite(self, window: MetricsWindow) -> None:
        bad_step = window.bad_step()
        if bad_step is not None:
            last = self.checkpointer.last_path()
            raise NonFiniteError(
                f"the loss or a gradient is NaN or infinite at step {bad_step}; "
                + (f"last good checkpoint: {last}" if last else "no checkpoint yet")
            )

    def _test(self, step: int, state: State) -> tuple[State, Results]:
        tell = self.progress.say if self.lock is not None else None
        with waiting("testing", tell=tell):
            state, tested = self.task.test(state)
        numbers = {name: v for name, v in tested.items() if isinstance(v, int | float)}
        self.log.write(step, "test", numbers)
        self.progress.say(f"step {step}: {self.task.headline(tested)}")
        return state, tested


def _every(period: int, step: int) -> bool:
    return period > 0 and step % period == 0


def _minutes_over(since: float, minutes: float) -> bool:
    """True once ``minutes`` have passed on the first process's clock."""
    over = bool(minutes) and time.monotonic() - since > 60 * minutes
    if jax.process_count() > 1:
        over = bool(multihost_utils.broadcast_one_to_all(np.array(over)))
    return over


def _draw(what: Callable[[RunDirectory, State], None], run: RunDirectory, state: State) -> None:
    """Draws figures; training goes on where they cannot be written."""
    try:
        what(run, state)
    except (WriteError, OSError) as error:
        _warn_once(f"a figure is missing: {error}")


@functools.cache
def _warn_once(text: str) -> None:
    _logger.warning(text)


def _announce(task: Task, state: State, run: RunDirectory, resumed: bool) -> None:
    say(
        f"{task.describe(state)}\n"
        f"{task.periods.total} steps, {jax.device_count()} x {jax.devices()[0].device_kind}\n"
        f"run directory: {run.path}"
    )
    if resumed:
        say(f"resuming at step {int(state.step)}")


def _finished_table(task: Task, run: RunDirectory, results: Results) -> str:
    try:
        return _table(task, results)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{run.results_file} is damaged ({type(error).__name__}: {error}): remove it, and the "
            "run ends anew"
        ) from error


def _table(task: Task, results: dict[str, Any]) -> str:
    rows = [
        ("test set", "result"),
        *task.result_rows(results),
        ("parameters", f"{results['parameters']:,}"),
        ("steps", f"{results['step']}"),
        ("run directory", results["run"]),
    ]
    return format_table(rows)

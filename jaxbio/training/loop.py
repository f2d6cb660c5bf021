"""The training loop: one for every experiment.

The loop owns time: what happens after which step. Everything that computes is elsewhere.
"""

import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

import jaxbio
from jaxbio.data import eval_batches, steps_per_epoch, train_batches
from jaxbio.errors import InputError
from jaxbio.evaluation.accuracy import evaluate
from jaxbio.experiment import (
    build_model,
    data_source,
    model_arguments,
    replace_v2_filters,
    v2_provenance,
)
from jaxbio.training.checkpointing import Checkpointer
from jaxbio.training.interrupts import Interrupts
from jaxbio.training.losses import summarise
from jaxbio.training.metrics_log import MetricsLog
from jaxbio.training.optimizers import make_optimizer
from jaxbio.training.progress import Progress, format_table
from jaxbio.training.report import write_report
from jaxbio.training.run_directory import RunDirectory, write_json
from jaxbio.training.schedules import duration_in_steps, make_schedule, update_plateau
from jaxbio.training.sharding import make_mesh, put_batches, state_shardings
from jaxbio.training.state import TrainState, count_parameters, create_state
from jaxbio.training.steps import NEVER, make_eval_step, make_train_step

_logger = logging.getLogger("jaxbio")


class NonFiniteError(RuntimeError):
    """The loss or a gradient became NaN or infinite."""


@dataclass(frozen=True)
class Periods:
    """Lengths in optimiser steps; 0 means never."""

    total: int
    evaluate: int
    checkpoint: int
    patience: int

    @classmethod
    def of(cls, config: ConfigDict, steps_in_epoch: int) -> "Periods":
        """Reads the durations of a configuration."""
        total = duration_in_steps(config.train, "total", steps_in_epoch)
        if total == 0:
            raise InputError("train.total_epochs and train.total_steps are both unset: set one")
        return cls(
            total=total,
            evaluate=duration_in_steps(config.eval, "every", steps_in_epoch),
            checkpoint=duration_in_steps(config.checkpoint, "every", steps_in_epoch),
            patience=duration_in_steps(config.schedule, "patience", steps_in_epoch),
        )


def train(config: ConfigDict, workdir: str) -> dict[str, Any] | None:
    """Trains, or resumes, or says that the run has finished.

    Args:
      config: see ``configs/base.py``.
      workdir: the run directory, made if need be.

    Returns:
      The final results: ``top1``, ``top5``, ``loss``, ...; None if the run was asked to stop early.

    Raises:
      InputError: wrong configuration, data or run directory.
      NonFiniteError: the loss or a gradient became NaN or infinite.
    """
    run = RunDirectory(workdir)
    run.create()
    first = jax.process_index() == 0
    source = data_source(config)
    arguments = model_arguments(config, source.num_classes)
    model = build_model(arguments)
    mesh = make_mesh(config.mesh.data, config.mesh.fsdp)
    _check_batch_sizes(config, mesh.size)
    periods = Periods.of(config, steps_per_epoch(source, config.train.batch_size))
    schedule = make_schedule(
        config.schedule,
        config.optimizer.learning_rate,
        periods.total,
        steps_per_epoch(source, config.train.batch_size),
    )
    optimizer = make_optimizer(config.optimizer)

    new_state = partial(
        create_state,
        model,
        optimizer,
        image_shape=(config.data.image_size, config.data.image_size, 3),
        ema=config.train.ema_decay > 0,
    )
    key = jax.random.key(config.seed)
    shapes = jax.eval_shape(new_state, key)
    shardings = state_shardings(shapes, mesh)
    like = jax.tree.map(
        lambda s, sharding: jax.ShapeDtypeStruct(s.shape, s.dtype, sharding=sharding),
        shapes,
        shardings,
    )

    if first:
        run.record_config(
            config.to_dict(),
            {
                "model": arguments,
                "v2_filters": v2_provenance(shapes.constants, config.model.v2_weights),
                "data": source.describe(),
                "steps": periods.total,
                "versions": {
                    "jaxbio": jaxbio.__version__,
                    "jax": jax.__version__,
                    "flax": flax.__version__,
                },
                "devices": [str(device.device_kind) for device in jax.devices()],
            },
        )
    if (results := run.results()) is not None:
        if first:
            print(f"{run.path} has finished: nothing to do.\n{_results_table(results)}")
        return results

    checkpointer = Checkpointer(
        run.checkpoints,
        keep_last=config.checkpoint.keep_last,
        keep_best=config.checkpoint.keep_best,
    )
    state = checkpointer.restore_latest(like)
    if state is None:
        state = jax.jit(new_state, out_shardings=shardings)(key)
        constants = replace_v2_filters(state.constants, config.model.v2_weights)
        state = state.replace(constants=jax.device_put(constants, shardings.constants))
    elif first:
        print(f"resuming {run.path} at step {int(state.step)}")

    train_step = jax.jit(
        make_train_step(
            model,
            optimizer,
            schedule,
            seed=config.seed,
            mean=config.data.mean,
            std=config.data.std,
            label_smoothing=config.train.label_smoothing,
            accumulate=config.train.accumulate,
            ema_decay=config.train.ema_decay,
        ),
        donate_argnums=0,
    )
    eval_step = jax.jit(
        make_eval_step(model, seed=config.seed, mean=config.data.mean, std=config.data.std)
    )

    test_batches = partial(
        eval_batches,
        source,
        config.data,
        global_batch_size=config.eval.batch_size,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )

    def test(state: TrainState) -> dict[str, float]:
        return evaluate(eval_step, state.variables(averaged=True), test_batches(), mesh)

    start = int(state.step)
    batches = train_batches(
        source,
        config.data,
        global_batch_size=config.train.batch_size,
        seed=config.seed,
        start_step=start,
        num_steps=periods.total - start,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    if first:
        name = f"{arguments['front_end']}+{arguments['name']}"
        print(
            f"{name}: {count_parameters(state.params):,} parameters, {source.num_train} training "
            f"and {source.num_eval} test images, {periods.total} steps on {jax.device_count()} x "
            f"{jax.devices()[0].device_kind}\nrun directory: {run.path}",
            flush=True,
        )
    progress = Progress(periods.total, start, enabled=first)
    log = MetricsLog(run.metrics_file, start, tensorboard=config.log.tensorboard, enabled=first)
    try:
        with Interrupts() as interrupts:
            state, tested = _run_steps(
                config,
                periods,
                state,
                train_step,
                test,
                put_batches(batches, mesh),
                checkpointer,
                progress,
                log,
                interrupts,
            )
        checkpointer.wait()
    finally:
        progress.close()
        log.close()
        checkpointer.close()

    step = int(state.step)
    if step < periods.total:
        if first:
            print(f"stopped: saved at step {step} of {periods.total}; repeat the command to go on")
        return None
    results = {
        "step": step,
        **tested,
        "parameters": count_parameters(state.params),
        "run": str(run.path),
    }
    if first:
        image = next(iter(test_batches()))["image"][0]
        write_report(run, model, state, image, config.data.mean, config.data.std)
        write_json(run.results_file, results)
        print(f"\n{_results_table(results)}")
    return results


def _run_steps(
    config, periods, state, train_step, test, batches, checkpointer, progress, log, interrupts
) -> tuple[TrainState, dict[str, float] | None]:
    """Steps from the state's step to the end, or to an interrupt."""
    step = int(state.step)
    window = _Window(config.train.batch_size)
    last_save = time.monotonic()
    tested = None
    began = time.monotonic()
    first_step = step + 1
    for batch in batches:
        state, metrics = train_step(state, batch)
        step += 1
        window.add(metrics)
        progress.advance()
        if step == first_step:
            jax.block_until_ready(metrics)
            progress.say(f"first step done after {time.monotonic() - began:.1f} s (compilation)")
            window.restart_clock()

        done = step == periods.total
        stop = interrupts.stop_requested(step)
        log_now = done or step % max(1, config.log.every_steps) == 0
        evaluate_now = done or (periods.evaluate and step % periods.evaluate == 0)
        late = log_now and _minutes_over(last_save, config.checkpoint.every_minutes)
        save_now = stop or done or late or (periods.checkpoint and step % periods.checkpoint == 0)

        if log_now or evaluate_now or save_now:
            window.check_finite(checkpointer)
        if log_now:
            train_metrics = window.close()
            log.write(step, "train", train_metrics)
            progress.show(train_metrics)
        tested = None
        if evaluate_now and (done or not stop):
            tested = test(state)
            state = _after_evaluation(config, periods, state, tested)
            log.write(step, "test", tested)
            progress.say(
                f"step {step}: test loss {tested['loss']:.4f}, top-1 {100 * tested['top1']:.2f} %"
            )
            window.restart_clock()
        if save_now:
            checkpointer.save(state, tested)
            last_save = time.monotonic()
        if stop:
            break
    if tested is None and step == periods.total:  # restored after the last step, before the results
        tested = test(state)
    return state, tested


class _Window:
    """Metrics since the last log line, summed on the device.

    Args:
      batch_size: images per step.
    """

    def __init__(self, batch_size: int):
        self._batch_size = batch_size
        self._totals = None
        self._steps = 0
        self._began = time.monotonic()

    def add(self, metrics: dict[str, jax.Array]) -> None:
        self._totals = metrics if self._totals is None else _combine(self._totals, metrics)
        self._steps += 1

    def restart_clock(self) -> None:
        """Leaves out of the speed what was not training."""
        self._began, self._steps = time.monotonic(), 0

    def check_finite(self, checkpointer: Checkpointer) -> None:
        """Raises if a step since the last check had a loss or gradient that is not finite."""
        if self._totals is None:
            return
        bad_step = int(self._totals["bad_step"])
        if bad_step != NEVER:
            checkpoint = checkpointer.last_path()
            raise NonFiniteError(
                f"the loss or a gradient is NaN or infinite at step {bad_step}; "
                + (f"last good checkpoint: {checkpoint}" if checkpoint else "no checkpoint yet")
            )

    def close(self) -> dict[str, float]:
        """Means over the window; begins the next one."""
        totals = jax.device_get(self._totals)
        seconds = time.monotonic() - self._began
        means = summarise(totals)
        metrics = {
            **{name: means[name] for name in ("loss", "top1", "top5")},
            "learning_rate": float(totals["learning_rate"]),
            "grad_norm": float(totals["grad_norm"]),
            "images_per_s": self._steps * self._batch_size / seconds,
        }
        self._totals = None
        self.restart_clock()
        return metrics


@partial(jax.jit, donate_argnums=0)
def _combine(totals: dict[str, jax.Array], new: dict[str, jax.Array]) -> dict[str, jax.Array]:
    combined = {name: totals[name] + new[name] for name in ("loss", "top1", "top5", "count")}
    return {
        **combined,
        "learning_rate": new["learning_rate"],
        "grad_norm": new["grad_norm"],
        "bad_step": jnp.minimum(totals["bad_step"], new["bad_step"]),
    }


def _after_evaluation(
    config: ConfigDict, periods: Periods, state: TrainState, tested: dict[str, float]
) -> TrainState:
    if config.schedule.name != "plateau":
        return state
    plateau = update_plateau(
        jax.device_get(state.plateau),
        np.int32(state.step),
        np.float32(tested["loss"]),
        factor=config.schedule.factor,
        patience_steps=periods.patience,
        threshold=config.schedule.threshold,
    )
    placed = jax.tree.map(
        lambda new, old: jax.device_put(new, old.sharding), plateau, state.plateau
    )
    return state.replace(plateau=placed)


def _minutes_over(since: float, minutes: float) -> bool:
    """True once ``minutes`` have passed on the first process's clock."""
    over = bool(minutes) and time.monotonic() - since > 60 * minutes
    if jax.process_count() > 1:
        over = bool(multihost_utils.broadcast_one_to_all(np.array(over)))
    return over


def _check_batch_sizes(config: ConfigDict, devices: int) -> None:
    train_size, parts = config.train.batch_size, devices * config.train.accumulate
    if config.train.accumulate < 1 or train_size < 1 or train_size % parts:
        raise InputError(
            f"train.batch_size={train_size} must be a multiple of {devices} devices x "
            f"train.accumulate={config.train.accumulate}"
        )
    if config.eval.batch_size < 1 or config.eval.batch_size % devices:
        raise InputError(
            f"eval.batch_size={config.eval.batch_size} must be a multiple of {devices} devices"
        )


def _results_table(results: dict[str, Any]) -> str:
    rows = [
        ("test set", "result"),
        ("top-1 accuracy", f"{100 * results['top1']:.2f} %"),
        ("top-5 accuracy", f"{100 * results['top5']:.2f} %"),
        ("loss", f"{results['loss']:.4f}"),
        ("images", f"{results['count']}"),
        ("parameters", f"{results['parameters']:,}"),
        ("steps", f"{results['step']}"),
        ("run directory", results["run"]),
    ]
    return format_table(rows)

"""Durations and learning rates as functions of the step.

A schedule is a pure function of the step. What depends on evaluation results (reduce on plateau) is
a multiplier that lives in the training state, see :class:`Plateau`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.options import read
from jaxbio.runs.config import Schedule


def duration_in_steps(section: Any, name: str, steps_per_epoch: int) -> int:
    """A duration of the configuration, in optimiser steps.

    Args:
        section: a part of the configuration with keys ``<name>_steps`` and ``<name>_epochs``.
        name: the duration's name without its suffix.
        steps_per_epoch: optimiser steps in one pass over the training set.

    Returns:
        ``<name>_steps`` if set, else ``<name>_epochs`` in steps, rounded, and at least one step for
        a positive duration; 0 if neither is set.

    Raises:
        InputError: a negative duration.
    """
    steps, epochs = getattr(section, f"{name}_steps"), getattr(section, f"{name}_epochs")
    value = steps if steps is not None else epochs or 0
    if value < 0:
        raise InputError(
            f"{name}_{'steps' if steps is not None else 'epochs'}={value}: must be >= 0"
        )
    if steps is not None:
        return int(steps)
    return max(1, round(epochs * steps_per_epoch)) if epochs else 0


@dataclass(frozen=True)
class Periods:
    """When things happen in a run, in optimiser steps; 0 means never."""

    total: int
    evaluate: int
    checkpoint: int


def read_periods(config: ConfigDict, total: int, steps_per_epoch: int) -> Periods:
    """The periods of a training of ``total`` steps that a configuration asks for."""
    evaluate, checkpoint = (
        duration_in_steps(section, "every", steps_per_epoch)
        for section in (config.eval, config.checkpoint)
    )
    return Periods(total, evaluate, checkpoint)


def make_schedule(
    config: Any, learning_rate: float, total_steps: int, steps_per_epoch: int
) -> Callable[[jax.Array], jax.Array]:
    """The learning rate as a function of the step.

    ``step``: ``factor ** (step // drop_every)``. ``multistep``: ``factor ** n`` after n milestones,
    each the first step with its rate. ``cosine``: from 1 after warm-up to ``final`` at
    ``total_steps``. ``constant`` and ``plateau``: 1. All times ``learning_rate`` and, during
    warm-up, a linear ramp from ``warmup_from`` to 1.

    ``timm_cosine`` is timm's scheduler as programs of its time drive it, to reproduce what they
    publish: a step has the rate of the step before it, the ramp is alone during warm-up, and the
    cosine, which began at step 0, is at ``final`` one warm-up before the end. The rate thus drops
    when the warm-up ends.

    Args:
        config: the ``schedule`` section of the configuration.
        learning_rate: the peak.
        total_steps: length of the training.
        steps_per_epoch: to convert durations.

    Returns:
        A function from an int32 step to a float32 learning rate.

    Raises:
        InputError: an unknown schedule, or a step schedule without a period.
    """
    config = read(Schedule, config, "schedule.")
    warmup = duration_in_steps(config, "warmup", steps_per_epoch)
    drop_every = duration_in_steps(config, "drop_every", steps_per_epoch)
    milestones = config.milestones(steps_per_epoch)

    def cosine(since: jax.Array) -> jax.Array:
        progress = jnp.clip(since / max(1, total_steps - warmup), 0.0, 1.0)
        height = 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
        return config.final + (1.0 - config.final) * height

    def schedule(step: jax.Array) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        scale = jnp.float32(1.0)
        if config.name == "step":
            scale = jnp.float32(config.factor) ** jnp.floor(step / drop_every)
        elif config.name == "multistep":
            passed = jnp.sum(step >= jnp.asarray(milestones, jnp.float32))
            scale = jnp.float32(config.factor) ** passed
        elif config.name == "cosine":
            scale = cosine(step - warmup)
        elif config.name == "timm_cosine":
            step = jnp.maximum(step - 1.0, 0.0)
            scale = jnp.where(step < warmup, 1.0, cosine(step))
        if warmup:
            ramp = jnp.clip(step / warmup, 0.0, 1.0)
            scale *= config.warmup_from + (1.0 - config.warmup_from) * ramp
        return jnp.float32(learning_rate) * scale

    return schedule


@struct.dataclass
class Plateau:
    """State of "reduce the learning rate when the evaluation loss stops falling".

    Attributes:
        scale: multiplier of the learning rate, float32.
        best: lowest loss seen, float32.
        since: step of the last improvement or drop, int32.
    """

    scale: jax.Array
    best: jax.Array
    since: jax.Array

    @classmethod
    def create(cls) -> "Plateau":
        """The state before the first evaluation."""
        return cls(jnp.float32(1.0), jnp.float32(jnp.inf), jnp.int32(0))


def update_plateau(
    plateau: Plateau,
    step: ArrayLike,
    loss: ArrayLike,
    *,
    factor: float,
    patience_steps: int,
    threshold: float,
) -> Plateau:
    """Takes one evaluation into account.

    A loss below ``best * (1 - threshold)`` is an improvement. When more than ``patience_steps``
    have passed since the last improvement or drop, the scale is multiplied by ``factor``.
    """
    improved = loss < plateau.best * (1.0 - threshold)
    dropped = ~improved & (step - plateau.since > patience_steps)
    return Plateau(
        scale=jnp.where(dropped, plateau.scale * factor, plateau.scale),
        best=jnp.where(improved, loss, plateau.best).astype(jnp.float32),
        since=jnp.where(improved | dropped, step, plateau.since).astype(jnp.int32),
    )

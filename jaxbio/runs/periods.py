"""When things happen in a run, in steps."""

from dataclasses import dataclass

from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.runs.schedules import duration_in_steps


@dataclass(frozen=True)
class Periods:
    """Lengths in optimiser steps; 0 means never."""

    total: int
    evaluate: int
    checkpoint: int
    patience: int


def read_periods(config: ConfigDict, steps_in_epoch: int) -> Periods:
    """The durations of a configuration in steps.

    Raises:
        InputError: no length of the training, or a negative duration.
    """
    total = duration_in_steps(config.train, "total", steps_in_epoch)
    if total == 0:
        raise InputError("train.total_epochs and train.total_steps are both unset: set one")
    return Periods(
        total=total,
        evaluate=duration_in_steps(config.eval, "every", steps_in_epoch),
        checkpoint=duration_in_steps(config.checkpoint, "every", steps_in_epoch),
        patience=duration_in_steps(config.schedule, "patience", steps_in_epoch),
    )

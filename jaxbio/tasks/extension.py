"""Longer than planned, and from earlier on: ``--extend`` and ``--from_checkpoint``.

Nothing here imports JAX, so that a wrong word is an error at once.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from jaxbio.errors import InputError

_ENDING = ("cosine", "timm_cosine")  # schedules whose rates depend on the length of the training


class Beginning(NamedTuple):
    """The checkpoint of another run that a run begins with.

    Attributes:
        run: its directory, absolute.
        step: of the checkpoint.
    """

    run: str
    step: int

    @classmethod
    def parse(cls, text: str, default_run: str) -> "Beginning":
        """Reads ``STEP`` or ``RUN:STEP``.

        Raises:
            InputError: something else, or no such run.
        """
        run, _, step = text.rpartition(":")
        run = run or default_run
        if not step.isdecimal():
            raise InputError(f"--from_checkpoint={text}: use STEP, or RUN:STEP of another run")
        if not (Path(run) / "config.json").is_file():
            raise InputError(f"--from_checkpoint={text}: {run} is not trained yet: train it first")
        return cls(str(Path(run).absolute()), int(step))


def lengthen(
    config: ConfigDict, then: dict[str, Any], amount: str
) -> tuple[ConfigDict, dict[str, Any]]:
    """A configuration and the recorded one, both of the longer training.

    The length counts from the configuration, so that the same command goes on with a longer run
    that was interrupted, and finds one that has finished.

    Args:
        config: what is asked for.
        then: what was recorded; its length may be any up to the longer one.
        amount: see :func:`check_extension`.

    Raises:
        InputError: it cannot be longer, or is already.
    """
    key, total = check_extension(config, amount)
    recorded = then["train"][key]
    if recorded is None or recorded > total:
        raise InputError(
            f"--extend={amount} makes train.{key}={total:g}, and the run has {recorded}: give more"
        )
    config = config.copy_and_resolve_references()
    config.train[key] = total
    return config, {**then, "train": {**then["train"], key: total}}


def check_extension(config: ConfigDict, amount: str) -> tuple[str, int | float]:
    """The key of a training's length, and its value with ``amount`` more.

    Args:
        config: of the run.
        amount: ``EPOCHS``, or ``N`` followed by ``steps`` where the run's length is in steps.

    Raises:
        InputError: the run cannot be made longer so, and why.
    """
    match = re.fullmatch(r"(\d+|\d*\.\d+)(steps)?", amount)
    if match is None or not float(match[1]):
        raise InputError(f"--extend={amount}: use a number of epochs, or such as 500steps")
    if "train" not in config:
        raise InputError(
            f"--extend: task {config.task} goes on in a new run, with spiking.start_from=RUN"
        )
    if config.schedule.name in _ENDING:
        raise InputError(
            f"--extend: schedule.name={config.schedule.name} has come down to its end, which a "
            "longer training has elsewhere: train anew with train.total_epochs and another "
            "--workdir, or begin a run with this one (model.init_from)"
        )
    in_steps = config.train.total_steps is not None
    if in_steps != bool(match[2]):
        unit = "steps (train.total_steps)" if in_steps else "epochs (train.total_epochs)"
        example = f"{match[1]}steps" if in_steps else match[1]
        raise InputError(f"--extend={amount}: the run's length is in {unit}: --extend={example}")
    if not in_steps:
        return "total_epochs", config.train.total_epochs + float(match[1])
    if "." in match[1]:
        raise InputError(f"--extend={amount}: use whole steps")
    return "total_steps", config.train.total_steps + int(match[1])

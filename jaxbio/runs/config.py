"""Sections of a configuration that any run has: how long, how often, how fast, on what."""

import re
from dataclasses import dataclass

from jaxbio.errors import InputError
from jaxbio.options import option

STEPS = "[0, 2147483647]"  # a step is an int32
BATCH = "[1, 16777216]"


@dataclass(frozen=True)
class Length:
    """``train``: the length of a training."""

    total_epochs: float | None = option(None, "passes over the training set", "(0, 1e9]")
    total_steps: int | None = option(None, "or steps; they win if both are set", "[1, 2147483647]")


@dataclass(frozen=True)
class Evaluation:
    """``eval``: tests during training."""

    batch_size: int = option(256, "images, over all devices", BATCH)
    every_epochs: float = option(1.0, "between tests; 0: at the end alone", "[0, 1e9]")
    every_steps: int | None = option(None, "or steps; they win if both are set", STEPS)


@dataclass(frozen=True)
class Checkpoint:
    """``checkpoint``: what a run can go on from."""

    every_epochs: float = option(1.0, "between checkpoints; 0: at the end alone", "[0, 1e9]")
    every_steps: int | None = option(None, "or steps; they win if both are set", STEPS)
    every_minutes: float = option(120.0, "whatever the steps; 0: off", "[0, inf)")
    keep_last: int = option(2, "newest checkpoints that are kept, at least one", "[0, 1000000]")
    keep_best: int = option(1, "best ones, by the test, that are kept", "[0, 1000000]")


@dataclass(frozen=True)
class Log:
    """``log``: what is written while training."""

    every_steps: int = option(20, "between log lines; 0: at the end alone", STEPS)
    tensorboard: bool = option(True, "event files, too")


@dataclass(frozen=True)
class Mesh:
    """``mesh``: devices."""

    data: int = option(-1, "devices that split the batch; -1: all that fsdp leaves", "[-1, 1e6]")
    fsdp: int = option(1, "devices that also split the parameters", "[1, 1e6]")

    def __post_init__(self) -> None:
        if self.data == 0:
            raise InputError("mesh.data=0: use a number of devices, or -1: all that fsdp leaves")


SCHEDULES = ("constant", "step", "multistep", "cosine", "timm_cosine", "plateau")


@dataclass(frozen=True)
class Schedule:
    """``schedule``: the learning rate over time. Durations: ``_steps`` win if both are set."""

    name: str = option("step", "timm_cosine drops after its warm-up", choices=SCHEDULES)
    warmup_epochs: float = option(0.0, "linear, from warmup_from * learning_rate", "[0, 1e9]")
    warmup_steps: int | None = option(None, "or steps", STEPS)
    warmup_from: float = option(0.0, "a share of the learning rate", "[0, inf)")
    factor: float = option(0.1, "step, multistep, plateau: multiplier of each drop", "(0, 1]")
    drop_every_epochs: float = option(20.0, "step: between drops", "[0, 1e9]")
    drop_every_steps: int | None = option(None, "or steps", "[1, 2147483647]")
    milestones_epochs: str = option("", "multistep: when it drops, rising, with commas: 30,60,90")
    milestones_steps: str = option("", "or steps")
    final: float = option(0.0, "cosine: a share of the learning rate", "[0, inf)")
    patience_epochs: float = option(19.0, "plateau: time without a better loss", "[0, 1e9]")
    patience_steps: int | None = option(None, "or steps", STEPS)
    threshold: float = option(0.01, "plateau: smallest relative gain that counts", "[0, 1)")

    def __post_init__(self) -> None:
        if self.name == "step" and not (self.drop_every_steps or self.drop_every_epochs):
            raise InputError(
                "schedule.drop_every_epochs=0: a step schedule needs a positive period"
            )
        if self.name == "multistep" and not (self.milestones_epochs or self.milestones_steps):
            raise InputError(
                "schedule.milestones_epochs is empty: a multistep schedule needs some, as 30,60,90"
            )
        self.milestones(1)

    def milestones(self, steps_per_epoch: int) -> tuple[int, ...]:
        """Steps of a multistep schedule's drops.

        Raises:
            InputError: no rising numbers.
        """
        for key, scale in (("milestones_steps", 1), ("milestones_epochs", steps_per_epoch)):
            text = getattr(self, key)
            if not text:
                continue
            words = re.sub(r"[()\[\]\s]", "", text).split(",")
            number = r"\d{1,10}" if key == "milestones_steps" else r"\d{1,10}(\.\d*)?|\.\d+"
            if not all(re.fullmatch(number, word) for word in words):
                raise InputError(f"schedule.{key}={text}: use numbers with commas, such as 30,60")
            values = [float(word) for word in words]
            if values != sorted(set(values)) or values[0] == 0:
                raise InputError(f"schedule.{key}={text}: use rising numbers above 0")
            return tuple(round(value * scale) for value in values)
        return ()

"""Configuration of the task "stdp": spiking networks that learn image by image, docs/spiking.md."""

from dataclasses import dataclass, field

from jaxbio.data.settings import Place
from jaxbio.errors import InputError
from jaxbio.options import option
from jaxbio.runs.config import Checkpoint, Evaluation, Log
from jaxbio.spiking.settings import MAX_SEEDS, READOUTS, Numbers, Shape
from jaxbio.tasks.classification.config import SEED

IMAGES = "[1, 1000000000]"


# Those of jaxbio.ops.encoding, which needs JAX.
ENCODERS = ("renewal", "bernoulli", "poisson", "latency")


@dataclass(frozen=True)
class Spiking(Numbers, Shape):
    """``spiking``: the network, what it is shown, and how it is tested."""

    encoder: str = option(
        "renewal", "of grey levels to spikes; renewal is the published one", choices=ENCODERS
    )
    two_step: bool = option(
        False, "trained competition: first half X to Y alone, second half Y to Y"
    )
    learn_xy: bool = option(True, "False: weights from X to Y are frozen")
    learn_yy: bool = option(
        True, "False: trained competition is frozen (fixed competition never learns)"
    )
    train_images: int = option(
        5000, "presentations, drawn with replacement; with start_from: in all", IMAGES
    )
    images_per_step: int = option(
        40,
        "images between two possible checkpoints; divides train_images",
        "[1, 1000000]",
        was="train.batch_size",
    )
    images_per_update: int = option(
        1,
        "more: an approximation, changes of several images are added up; divides images_per_step",
        "[1, 1000000]",
    )
    start_from: str = option(
        "",
        "run directory, or name in runs/, of a saved network to go on with in this (new) run: "
        'weights and thresholds of its newest checkpoint; "": random weights',
    )
    start_member: int | None = option(
        None, "of a population; not set: each from its own", "[0, 1000000]"
    )
    calibration_share: float = option(1 / 6, "of the training set, from its end", "(0, 1)")
    calibration_images: int = option(10_000, "presentations that votes are counted from", IMAGES)
    test_images: int = option(10_000, "presentations", IMAGES)
    test_on: str = option(
        "test",
        "the test set; or validation: the second half of the calibration images, to choose by",
        choices=("test", "validation"),
    )
    readout: str = option(
        "patch_voting", "decides the best checkpoint; all are measured", choices=READOUTS
    )
    top_n: int = option(1, "of the readout top_n: filters of a position that vote", "[1, 16384]")

    def __post_init__(self) -> None:
        self._check_times()
        self._check_images()
        if self.top_n > self.filters:
            raise InputError(
                f"spiking.top_n={self.top_n}: use 1 to {self.filters}, the filters of a position"
            )
        if self.c_w_min > self.c_w_max:
            raise InputError(
                f"spiking.c_w_min={self.c_w_min}: use at most spiking.c_w_max={self.c_w_max}"
            )
        if self.threshold <= self.rest:
            raise InputError(
                f"spiking.threshold={self.threshold}: use more than spiking.rest={self.rest}, in mV"
            )

    def _check_times(self) -> None:
        if self.two_step and not self.trained_competition:
            raise InputError("spiking.two_step=True needs spiking.trained_competition=True")
        if self.two_step and not (self.learn_xy and self.learn_yy):
            raise InputError(
                "spiking.two_step=True decides itself what learns when: remove spiking.learn_xy="
                f"{self.learn_xy}, spiking.learn_yy={self.learn_yy}"
            )
        if self.two_step and self.start_from:
            raise InputError(
                f"spiking.start_from={self.start_from} with spiking.two_step=True: the second "
                "step of a saved network is spiking.learn_xy=False, without two_step"
            )

    def _check_images(self) -> None:
        step, update = self.images_per_step, self.images_per_update
        if self.train_images % step:
            raise InputError(
                f"spiking.train_images={self.train_images} must be a multiple of "
                f"spiking.images_per_step={step}, the images between two possible checkpoints"
            )
        if step % update:
            raise InputError(
                f"spiking.images_per_update={update} must divide spiking.images_per_step={step}"
            )


@dataclass(frozen=True)
class Population:
    """``population``: networks that learn side by side."""

    seeds: int = option(1, "networks with seed, seed + 1, ...", f"[1, {MAX_SEEDS}]")
    grid: str = option("", '"mean_weight=0.4,0.46;c_w=-80,-100": every point with every seed')


@dataclass(frozen=True)
class Config:
    """Spiking networks that learn by spike-timing-dependent plasticity, without labels."""

    name: str = option("base", "the run directory's default is runs/<name>")
    task: str = option("stdp", "what is trained how", choices=("stdp",))
    seed: int = option(0, "initial weights, images and spikes", SEED)
    data: Place = field(default_factory=Place)
    spiking: Spiking = field(default_factory=Spiking)
    population: Population = field(default_factory=Population)
    eval: Evaluation = field(default_factory=Evaluation)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    log: Log = field(default_factory=Log)

    def check_names(self) -> None:
        """What needs an import to be checked: windows that tile the input, the population's grid.

        Raises:
            InputError: they do not, or the networks together are too large.
        """
        from jaxbio.tasks.stdp.reading import read_members_of

        read_members_of(self)

    def check_training(self) -> None:
        """Nothing: spiking.start_from is opened with the task."""

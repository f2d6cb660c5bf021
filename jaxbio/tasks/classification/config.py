"""Configuration of the task "classification"; the model and the optimiser are also task rdm's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxbio.data.settings import Settings
from jaxbio.errors import InputError
from jaxbio.options import option
from jaxbio.runs.config import BATCH, Checkpoint, Evaluation, Length, Log, Mesh, Schedule

SEED = "[0, 4294967295]"  # of NumPy's generators and of JAX's keys
MIN_IMAGE_SIZE = 32  # of the models
PRETRAINED = "pretrained"  # in a model's name's place: that of model.init_from


def _models() -> Sequence[str]:
    from jaxbio.models import list_models

    return list_models()


# Those of jaxbio.models.activations, which needs flax.
ACTIVATIONS = (
    *("relu", "gelu", "raa", "raa_simple", "raa_elementwise"),
    *("raa2", "raa2_simple", "raa2_elementwise"),
)


@dataclass(frozen=True)
class Spiking:
    """``model.spiking``: fields of jaxbio.models.spiking_cnn.SpikingCNN; None keeps its own."""

    body: str | None = option(None, "small, or any feed-forward network")
    steps: int | None = option(None, "time steps of a presentation", "[1, 100000]")
    tau: float | None = option(None, "time constant of the neurons, steps", "(0, inf)")
    surrogate: str | None = option(
        None, "its derivative", choices=("fast_sigmoid", "arctan", "straight_through")
    )
    slope: float | None = option(None, "of the surrogate", "(0, inf)")


@dataclass(frozen=True)
class V1:
    """``model.v1``: fields of jaxbio.models.front_end.V1; None keeps those of the front-end."""

    simple_channels: int | None = option(None, "simple cells", "[0, 65536]")
    complex_channels: int | None = option(None, "complex cells", "[0, 65536]")
    out_channels: int | None = option(None, "of the trainable 1x1 bottleneck", "[1, 65536]")
    param_mode: str | None = option(
        None, "sampling of the Gabor parameters", choices=("neuronal", "uniform")
    )
    seed: int | None = option(None, "of the Gabor parameters and their colour channels", SEED)
    sf_corr: float | None = option(
        None, "correlation of receptive-field size and frequency", "[-1, 1]"
    )
    sf_min: float | None = option(None, "cycles per degree", "[0, inf)")
    sf_max: float | None = option(None, "cycles per degree", "(0, inf)")
    visual_degrees: float | None = option(
        None, "field of view; default image_size / 28", "(0, inf)"
    )
    kernel_size: int | None = option(None, "pixels, odd", "[1, 1023]")
    stride: int | None = option(None, "pixels", "[1, 1024]")
    k_exc: float | None = option(None, "gain", "(0, inf)")
    same_color: bool | None = option(None, "both quadratures of a complex cell read one colour")
    normalization: str | None = option(
        None, "divisive: by a pool over orientations and a surround", choices=("none", "divisive")
    )
    normalization_exponent: float | None = option(None, "of the cells", "[1, 10]")
    normalization_constant: float | None = option(None, "pool at half saturation", "(0, inf)")
    normalization_degrees: float | None = option(None, "std of the surround", "(0, inf)")
    noise_mode: str | None = option(None, "of the cells", choices=("none", "neuronal", "gaussian"))
    noise_scale: float | None = option(None, "of the noise", "(0, inf)")
    noise_level: float | None = option(None, "spontaneous rate of neuronal noise", "[0, inf)")
    noise_at_eval: bool | None = option(None, "noise when not training, too")
    fixed_noise_seed: int | None = option(None, "one noise sample for every call", SEED)

    def __post_init__(self) -> None:
        if self.kernel_size is not None and self.kernel_size % 2 == 0:
            raise InputError(f"model.v1.kernel_size={self.kernel_size}: use an odd number")


@dataclass(frozen=True)
class Retina:
    """``model.retina``: fields of jaxbio.models.retina.Retina; None keeps its own."""

    m_cells: bool | None = option(None, "magnocellular cells beside the parvocellular ones")
    light_adaptation: bool | None = option(None, "intensities relative to the picture's mean")
    opponency: bool | None = option(None, "centre and surround, of opponent colours")
    contrast_normalization: bool | None = option(None, "division by local contrast")
    noise_mode: str | None = option(None, "of the cells", choices=("none", "neuronal"))
    noise_at_eval: bool | None = option(None, "noise when not training, too")


@dataclass(frozen=True)
class Model:
    """``model``: the network."""

    name: str = option("resnet18", "a name of jaxbio.list_models()", choices=_models)
    front_end: str = option(
        "svp",
        "svp: V1 and V2; vone: V1; evnet: retina, LGN and V1",
        choices=("svp", "vone", "evnet", "none"),
    )
    activation: str = option(
        "relu",
        "of the body: relu, gelu; raa (starts as GELU) or raa2 (as ReLU) with a learned shift, "
        "either also with _simple or _elementwise; see jaxbio/models/activations.py",
        choices=ACTIVATIONS,
    )
    num_classes: int = option(0, "0: as many as the data has", "[0, 1000000]")
    dtype: str = option(
        "float32",
        "of the computation; parameters are float32 always",
        choices=("float32", "bfloat16"),
    )
    remat: bool = option(False, "recompute activations when going back: less memory, more time")
    drop_path: float = option(
        0.0, "ViTs: stochastic depth of the last block, rising from 0 in the first", "[0, 1)"
    )
    times: int | None = option(
        None, "steps of CORnet-R, RT (5), passes of each area of S (2, 4, 2)", "[1, 10000]"
    )
    readout: str | None = option(
        None, "CORnets: all gives the logits of every step, too", choices=("last", "all")
    )
    last_relu: bool = option(True, "ResNets: ReLU after the very last addition, as torchvision")
    v2_weights: str = option("", '.pth with AlexNet\'s second convolution; "": a seeded stand-in')
    spiking: Spiking = field(default_factory=Spiking)
    v1: V1 = field(default_factory=V1)
    retina: Retina = field(default_factory=Retina)


def _models_or_pretrained() -> Sequence[str]:
    return [*_models(), PRETRAINED]


@dataclass(frozen=True)
class StartingModel(Model):
    """``model`` of a classifier, which may begin with what another has learned."""

    name: str = option(
        "resnet18",
        f"a name of jaxbio.list_models(); {PRETRAINED}: network and images of init_from",
        choices=_models_or_pretrained,
    )
    init_from: str = option(
        "",
        "run directory, converted weights or PyTorch file to begin with; the classifier is new "
        'where the classes are others; "": random weights',
    )
    freeze: str = option(
        "",
        "parts that do not learn, names with commas: front_end, layer1, ...; backbone: all but "
        'the classifier; "": none',
    )

    def __post_init__(self) -> None:
        if self.init_from and self.v2_weights:
            raise InputError(
                f"model.v2_weights={self.v2_weights}: model.init_from brings V2's filters; unset it"
            )


@dataclass(frozen=True)
class Pixels:
    """``data``: what a network's images are like."""

    mean: tuple[float, float, float] = option(
        (0.5, 0.5, 0.5), "per colour channel, of images in [0, 1]"
    )
    std: tuple[float, float, float] = option((0.5, 0.5, 0.5), "per colour channel", "(0, inf)")


@dataclass(frozen=True)
class Data(Pixels, Settings):
    """``data``: jaxbio.data.settings, normalisation, and augmentation on the devices."""

    corruption_augmentation: str = option(
        "", 'image corruptions: names with commas, benchmark, validation, all; "": none'
    )
    corruption_severities: str = option("1,2,3", "of them, 1 to 5, or all")
    corruption_share: float = option(0.5, "of the images of a batch", "(0, 1]")
    rand_augment: int = option(0, "RandAugment: operations per image; 0: off", "[0, 100]")
    rand_magnitude: float = option(9.0, "their mean strength", "[0, 10]")
    rand_magnitude_std: float = option(0.5, "of the strength", "[0, inf)")
    random_erasing: float = option(0.0, "probability of noise in a rectangle", "[0, 1]")
    mix: str = option(
        "none",
        "pictures and labels in pairs: mixup (weighted mean), cutmix (a rectangle of the other), "
        "both (one of them by chance, batch by batch)",
        choices=("none", "mixup", "cutmix", "both"),
    )
    mix_share: float = option(1.0, "of the batches that are mixed", "(0, 1]")
    mixup_alpha: float = option(0.2, "of the Beta distribution of weights; CIFAR: 1", "(0, 1000]")
    cutmix_alpha: float = option(1.0, "of the Beta distribution of areas", "(0, 1000]")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_size(self.image_size)
        if not re.fullmatch(r"([1-5]|all)(,([1-5]|all))*", self.corruption_severities):
            raise InputError(
                f"data.corruption_severities={self.corruption_severities!r}: use 1 to 5, with "
                "commas, or all"
            )


def check_image_size(size: int) -> None:
    """Raises an ``InputError`` for images that are too small for every model."""
    if size < MIN_IMAGE_SIZE:
        raise InputError(f"data.image_size={size}: models need {MIN_IMAGE_SIZE} or more")


@dataclass(frozen=True)
class Train(Length):
    """``train``: steps and what they minimise."""

    batch_size: int = option(256, "over all devices", BATCH)
    accumulate: int = option(1, "micro-batches per optimiser step", "[1, 1000000]")
    label_smoothing: float = option(0.0, "share of the label spread over all classes", "[0, 1)")
    ema_decay: float = option(
        0.0, "of the averaged parameters that evaluation then uses; 0: off", "[0, 1)"
    )
    ema_warmup: bool = option(
        True,
        "average over the steps so far, at first: else long averages keep the random weights",
        absent=False,
    )
    adversarial: str = option("none", "pgd: learn attacked images", choices=("none", "pgd"))
    adversarial_norm: str = option("linf", "of the attack", choices=("linf", "l2", "l1"))
    adversarial_epsilon: float = option(8 / 255, "its radius, for images in [0, 1]", "(0, inf)")
    adversarial_steps: int = option(7, "gradients that it follows", "[1, 10000]")
    adversarial_step: float = option(0.25, "length of a step over the radius", "(0, 100]")

    def __post_init__(self) -> None:
        if self.batch_size % self.accumulate:
            raise InputError(
                f"train.accumulate={self.accumulate}: use a divisor of "
                f"train.batch_size={self.batch_size}"
            )


OPTIMIZERS = ("sgd", "adam", "adamw")


@dataclass(frozen=True)
class Optimizer:
    """``optimizer``: the direction and size of an update."""

    name: str = option(
        "sgd",
        "sgd (momentum) and adam: L2 decay in the gradient; adamw: decoupled decay",
        choices=OPTIMIZERS,
    )
    learning_rate: float = option(0.1, "the schedule's peak", "[0, inf)")
    momentum: float = option(0.9, "sgd", "[0, 1)")
    nesterov: bool = option(False, "sgd")
    b1: float = option(0.9, "adam, adamw: decay of the first moment", "[0, 1)")
    b2: float = option(0.999, "adam, adamw: decay of the second moment", "[0, 1)")
    eps: float = option(1e-8, "adam, adamw", "(0, inf)")
    weight_decay: float = option(1e-4, "L2", "[0, inf)")
    decay: str = option(
        "all", "all parameters, or arrays of two and more dimensions", choices=("all", "kernels")
    )
    clip_norm: float = option(0.0, "global gradient norm; 0: off", "[0, inf)")


@dataclass(frozen=True)
class Arr:
    """``arr``: aggregated response regularisation draws responses of a class to their mean."""

    coefficient: float = option(0.0, "weight in the loss; 0: off", "[0, inf)")
    endpoints: str = option("default", "names with commas; default: the output of every block")
    momentum: float = option(0.1, "weight of a new response in its class mean", "(0, 1]")
    start: int = option(
        0,
        "visits of a class, beyond the first, up to which a response replaces the mean",
        "[0, inf)",
    )
    interval: int = option(1, "visits of a class between updates of its mean", "[1, inf)")


@dataclass(frozen=True)
class Eval(Evaluation):
    """``eval``: tests during training and after it."""

    corrupt: str = option(
        "after_resize",
        "robustness: corrupt the resized and cropped images; before_resize: whole ones",
        choices=("after_resize", "before_resize"),
    )
    preprocessing: str = option(
        "model",
        "model: size, mean and std must be those of the run or the weights; config: those of data",
        choices=("model", "config"),
    )
    classes: str = option(
        "all",
        "other data, of fewer classes than the network's: answers among all of the network's, or "
        "among those that the data have",
        choices=("all", "data"),
    )


@dataclass(frozen=True)
class Config:
    """A classifier that is trained on labelled images."""

    name: str = option("base", "the run directory's default is runs/<name>")
    task: str = option("classification", "what is trained how", choices=("classification",))
    seed: int = option(0, "initial weights, data order, augmentation, dropout and noise", SEED)
    model: StartingModel = field(default_factory=StartingModel)
    data: Data = field(default_factory=Data)
    train: Train = field(default_factory=Train)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    arr: Arr = field(default_factory=Arr)
    eval: Eval = field(default_factory=Eval)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    log: Log = field(default_factory=Log)
    mesh: Mesh = field(default_factory=Mesh)

    def __post_init__(self) -> None:
        check_length(self.train)
        if self.data.mix == "none":
            return
        for key, value, off in (
            ("arr.coefficient", self.arr.coefficient, 0.0),
            ("train.adversarial", self.train.adversarial, "none"),
        ):
            if value != off:
                raise InputError(
                    f"data.mix={self.data.mix} gives pictures of two classes, and {key}={value} "
                    f"needs pictures of one: set {key}={off} or data.mix=none"
                )

    def check_names(self) -> None:
        """What needs an import to be checked: names of corruptions."""
        if self.data.corruption_augmentation:
            from jaxbio.corruptions.selection import parse_corruptions

            names = self.data.corruption_augmentation.split(",")
            parse_corruptions(names, "data.corruption_augmentation")

    def check_training(self) -> None:
        """What only a training needs: something to begin with, where it is asked for."""
        if self.model.init_from:
            _check_start(Path(self.model.init_from))
        elif self.model.name == PRETRAINED:
            raise InputError(f"model.name={PRETRAINED} needs model.init_from=RUN_OR_WEIGHTS")


def _check_start(path: Path) -> None:
    if path.is_file() or (path / "config.json").is_file():
        return
    if path.is_dir():
        raise InputError(f"model.init_from={path} is not trained yet: it has no config.json")
    raise InputError(f"model.init_from={path} does not exist: give a run directory or a file")


def check_length(train: Length) -> None:
    """Raises an ``InputError`` for a training without a length."""
    if train.total_epochs is None and train.total_steps is None:
        raise InputError("train.total_epochs and train.total_steps are both unset: set one")

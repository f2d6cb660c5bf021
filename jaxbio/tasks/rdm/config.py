"""Configuration of the task "rdm": learning from neural data, docs/similarity.md."""

from dataclasses import dataclass, field

from jaxbio.errors import InputError
from jaxbio.options import option
from jaxbio.runs.config import Checkpoint, Evaluation, Length, Log, Mesh, Schedule
from jaxbio.tasks.classification.config import (
    SEED,
    Model,
    Optimizer,
    Pixels,
    check_image_size,
    check_length,
)


@dataclass(frozen=True)
class Data(Pixels):
    """``data``: what the network's images are like; a trained student brings its own."""

    image_size: int = option(32, "side of the network's images, pixels", "[1, 4096]")

    def __post_init__(self) -> None:
        check_image_size(self.image_size)


@dataclass(frozen=True)
class Rdm:
    """``rdm``: the recordings, what is learnt from them, and by whom."""

    neural: str = option(
        "synthetic",
        "file or folder of recordings (docs/neural.md), or the stand-in; or a data set such as "
        "cifar10, svhn or tfds:NAME, whose RDM is that of rdm.teacher",
    )
    pictures: int = option(200, "of each class of a data set, drawn at random", "[2, 1000000]")
    region: str | None = option(None, "of the recordings: IT, V4, human_it, ...")
    stimuli: str | None = option(None, "where the images are, if not beside the recordings")
    teacher: str = option("", '"": the recordings; a run directory, or random:<model>')
    teachers_dir: str = option(
        "runs", "where --config.teachers=all looks for runs and converted weights"
    )
    student: str = option(
        "", 'run directory or converted weights to start from; "": random weights'
    )
    layer: str = option("penultimate", "of the student: the endpoint whose RDM counts")
    teacher_layer: str = option("", 'of the teacher; "": the student\'s')
    images_per_object: int = option(4, "in a batch, of every object", "[1, 65536]")
    held_out: float = option(
        0.2, "share of each object's images (single images: of each category's)", "(0, 1)"
    )
    validation: float = option(
        0.0,
        "share of the other images that choose the best checkpoint; 0: the held-out ones do",
        "[0, 1)",
    )
    held_out_people: int = option(
        0,
        "subjects of published RDMs that are only scored against; 0: all are learnt from",
        "[0, 65536]",
    )
    freeze: str = option(
        "", "parts of the student that do not learn, as model.freeze of a classifier has them"
    )
    shuffled: bool = option(False, "learn the RDM with its conditions in another order: a control")
    l2_sp: float = option(
        0.0, "weight of half the squared distance of the parameters from their start", "[0, inf)"
    )
    split_seed: int = option(
        0, "of the choice of held-out images; also of the synthetic recordings", SEED
    )
    flip: bool = option(False, "mirror training images at random, once and for all")
    class_weight: float = option(0.0, "of a classification loss on the categories", "[0, inf)")
    sit_splits: int = option(100, "random draws of the similarity score", "[1, 1000000]")


@dataclass(frozen=True)
class Config:
    """A network that learns the representational geometry of recordings."""

    name: str = option("base", "the run directory's default is runs/<name>")
    task: str = option("rdm", "what is trained how", choices=("rdm",))
    seed: int = option(0, "initial weights, batches, dropout and noise", SEED)
    teachers: str = option("", 'one run per teacher, names with commas, or all; "": one run')
    rdm: Rdm = field(default_factory=Rdm)
    model: Model = field(default_factory=Model)
    data: Data = field(default_factory=Data)
    train: Length = field(default_factory=Length)
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    eval: Evaluation = field(default_factory=Evaluation)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    log: Log = field(default_factory=Log)
    mesh: Mesh = field(default_factory=Mesh)

    def __post_init__(self) -> None:
        check_length(self.train)
        if self.schedule.name == "plateau":
            raise InputError("schedule.name='plateau': task rdm has no test loss to wait for")

    def check_names(self) -> None:
        """Nothing that needs an import."""

    def check_training(self) -> None:
        """Nothing: rdm.student is opened with the task."""

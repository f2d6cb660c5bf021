"""Twenty networks on the images of Cadieu et al. 2014: what the SIT and SVM tables share."""

import io
import zipfile
from pathlib import Path
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from jaxbio.features import FeatureRequest
from jaxbio.files import atomic
from jaxbio.measures.brain import Brain, brains
from jaxbio.measures.layer_activity import layer_activity
from jaxbio.models import create_model
from jaxbio.neural import open_recordings
from jaxbio.neural.synthetic import synthetic_recordings
from jaxbio.ops.images import Preprocessing
from jaxbio.reproduce.networks import torchvision
from jaxbio.reproduce.table import EQUAL, Context, Need, Published, Row, below
from jaxbio.weights.infer import convert
from jaxbio.weights.reader import read_torch

ARCHIVE_NAME = "PLoSCB2014_data_20141216.zip"
ARCHIVE = Need(
    f"recordings of Cadieu et al. 2014, DATA/{ARCHIVE_NAME}",
    f"s3.amazonaws.com/cadieu-etal-ploscb2014/{ARCHIVE_NAME}",
    "2.5 GB with its images",
    below(ARCHIVE_NAME, ARCHIVE_NAME.removesuffix(".zip")),
)
SOURCE = "README of github.com/1jsingh/neural-finetuning"
_SIDE, _DRY_SIDE = 224, 32


class Network(NamedTuple):
    """A row of the published tables.

    Attributes:
        title: as published.
        size: of its weights.
        sit: mean and standard deviation over 100 draws.
        svm: mean and standard deviation over splits.
        gain: in SVM accuracy, of SqueezeNet-1.0 after learning from it; None of itself.
    """

    title: str
    size: str
    sit: tuple[float, float]
    svm: tuple[float, float]
    gain: float | None


# By model, which is also the stem of torchvision's file.
NETWORKS = {
    "alexnet": Network("AlexNet", "230 MB", (0.5312, 0.0369), (0.5451, 0.0221), -0.0088),
    "vgg11": Network("VGG-11", "500 MB", (0.5604, 0.0313), (0.7192, 0.0234), 0.0769),
    "vgg13": Network("VGG-13", "510 MB", (0.54387, 0.0326), (0.7356, 0.0218), 0.0433),
    "vgg16": Network("VGG-16", "530 MB", (0.5357, 0.0310), (0.7443, 0.0233), 0.0657),
    "vgg19": Network("VGG-19", "550 MB", (0.5242, 0.0307), (0.7484, 0.0190), 0.0633),
    "vgg11_bn": Network("VGG-11-BN", "500 MB", (0.5230, 0.0282), (0.7460, 0.0202), 0.0455),
    "vgg13_bn": Network("VGG-13-BN", "510 MB", (0.5262, 0.0309), (0.7588, 0.0190), 0.0596),
    "vgg16_bn": Network("VGG-16-BN", "530 MB", (0.4955, 0.0307), (0.7805, 0.0192), 0.0692),
    "vgg19_bn": Network("VGG-19-BN", "550 MB", (0.4986, 0.0290), (0.7739, 0.0241), 0.0986),
    "resnet18": Network("ResNet-18", "45 MB", (0.51599, 0.0280), (0.7204, 0.0230), 0.0749),
    "resnet34": Network("ResNet-34", "83 MB", (0.4894, 0.0297), (0.7185, 0.0234), 0.0382),
    "resnet50": Network("ResNet-50", "98 MB", (0.4464, 0.0302), (0.7401, 0.0207), 0.0576),
    "resnet101": Network("ResNet-101", "170 MB", (0.4570, 0.0311), (0.7305, 0.0197), 0.0214),
    "resnet152": Network("ResNet-152", "230 MB", (0.4794, 0.0321), (0.7794, 0.0199), 0.0498),
    "squeezenet1_0": Network("SqueezeNet 1.0", "5 MB", (0.5030, 0.0375), (0.6276, 0.0249), None),
    "squeezenet1_1": Network("SqueezeNet 1.1", "5 MB", (0.5450, 0.03686), (0.6397, 0.0250), 0.0147),
    "densenet121": Network("DenseNet-121", "31 MB", (0.4777, 0.0325), (0.6480, 0.0280), 0.0355),
    "densenet169": Network("DenseNet-169", "55 MB", (0.4838, 0.0286), (0.6365, 0.0313), 0.0155),
    "densenet201": Network("DenseNet-201", "77 MB", (0.4572, 0.0309), (0.6404, 0.0360), 0.0373),
    "densenet161": Network("DenseNet-161", "110 MB", (0.4841, 0.0299), (0.6498, 0.0321), 0.0190),
}
_DRY = ("squeezenet1_1", "resnet18")  # the quick ones; random weights


def weights_of(name: str) -> Need:
    """Of a model, as torchvision publishes them."""
    return torchvision(name, NETWORKS[name].size)


def rows(context: Context, configuration: str, values: str) -> list[Row]:
    """A row per model with the ``values``, a field of :class:`Network`; of a dry run two."""
    return [
        Row(
            NETWORKS[name].title,
            configuration,
            (Published(*getattr(NETWORKS[name], values)),),
            rule=EQUAL,
            needs=(weights_of(name),),
            detail=name,
        )
        for name in (_DRY if context.dry_run else NETWORKS)
    ]


def recordings(context: Context, region: str = "IT") -> Brain:
    """The recordings, or the synthetic archive of a dry run."""
    return brains(open_recordings(archive(context), region=region), "mean", 0)[0]


def archive(context: Context) -> Path:
    """The archive; of a dry run it is written: rendered images, simulated sites."""
    if not context.dry_run:
        return context.find(ARCHIVE)
    path = context.output / "synthetic" / ARCHIVE_NAME
    if not path.exists():
        _write_synthetic(path)
    return path


def penultimate(name: str, brain: Brain, context: Context) -> np.ndarray:
    """The penultimate layer's activity on the images, ``[S, units]``."""
    side = _DRY_SIDE if context.dry_run else _SIDE
    images = brain.recordings.stimuli.read_images(side)
    request = FeatureRequest(("penultimate",))
    if context.dry_run:
        model = create_model(name, num_classes=10, image_size=side)
        blank = jnp.zeros((1, side, side, 3))
        variables = jax.jit(model.init)(jax.random.key(0), blank)
        preprocessing = Preprocessing(side, (0.5,) * 3, (0.5,) * 3)
    else:
        found = convert(name, read_torch(context.find(weights_of(name))))
        model, variables = create_model(**found.arguments), found.variables
        preprocessing = found.preprocessing
    activity = layer_activity(model, variables, images, request, preprocessing)
    return cast(np.ndarray, next(iter(activity.values())))  # of 4,096 units: not streamed


def _write_synthetic(path: Path) -> None:
    """An archive of the published layout: rendered images and simulated sites, not measured."""
    import scipy.io

    made = synthetic_recordings(views=10, image_size=_DRY_SIDE, sites=60, repetitions=2)
    names = [f"images/synthetic_{i:04d}.png" for i in range(len(made.stimuli))]
    images = made.stimuli.read_images(_DRY_SIDE)
    rows = [f"{n} {c} 1 0" for n, c in zip(names, made.stimuli.labels, strict=True)]
    assert made.responses is not None  # simulated
    features = made.responses.mean(2).astype(np.float64)
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        for area, sites in (("IT", slice(0, 40)), ("V4", slice(40, 60))):
            data = io.BytesIO()
            scipy.io.savemat(data, {"features": features[:, sites], "meta": np.array(rows)})
            file.writestr(f"NeuralData_{area}_multiunits.mat", data.getvalue())
        for name, image in zip(names, images, strict=True):
            data = io.BytesIO()
            Image.fromarray(image).save(data, "PNG")
            file.writestr(name, data.getvalue())

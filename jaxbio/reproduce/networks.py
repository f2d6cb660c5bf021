"""Networks that a user brings as published weights: found, converted once, opened."""

import importlib
from pathlib import Path
from typing import Any

from jaxbio.files import read_json
from jaxbio.reproduce.table import Need
from jaxbio.runs.checkpoints import export_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.tasks.classification.opened import Session, open_session
from jaxbio.tasks.config import recorded_images
from jaxbio.weights.infer import convert
from jaxbio.weights.reader import read_torch


def _imagenet(data: Path) -> Path | None:
    root = data / "imagenet"
    return root if (root / "val").is_dir() and (root / "train").is_dir() else None


IMAGENET = Need(
    "ImageNet (ILSVRC 2012) as DATA/imagenet/train/CLASS/* and DATA/imagenet/val/CLASS/*",
    "image-net.org, free for research after registration",
    "6 GB of val, and train/ with its 1,000 folders (a picture each is enough)",
    _imagenet,
)


def weights(pattern: str, where: str, size: str) -> Need:
    """Need of a file of published weights in ``DATA/weights``, such as ``alexnet-*.pth``."""

    def find(data: Path) -> Path | None:
        return next(iter(sorted((data / "weights").glob(pattern))), None)

    return Need(f"weights DATA/weights/{pattern}", where, size, find)


def torchvision(stem: str, size: str) -> Need:
    """The same of torchvision's file of that stem."""
    return weights(f"{stem}-*.pth", "download.pytorch.org, torchvision's models", size)


def converted(name: str, file: Path, output: Path, **arguments: Any) -> Path:
    """The run directory of converted weights in the folder of all runs, written once.

    The further arguments are those of :func:`jaxbio.weights.infer.convert`.

    Raises:
        InputError: the file does not fit the model.
    """
    run = RunDirectory(output / "runs" / file.name.split(".")[0])
    if not run.config_file.is_file():
        found = convert(name, read_torch(file), **arguments)
        export_variables(
            run.path,
            found.arguments,
            found.variables,
            preprocessing=found.preprocessing,
            provenance={"source": file.name},
        )
    return run.path


def open_on_imagenet(run: Path, imagenet: Path) -> Session:
    """Converted weights with ImageNet's validation set: shorter side 256, centre 224.

    Raises:
        InputError: the data is of another layout, or of other classes.
    """
    config = importlib.import_module("jaxbio.configs.svp_resnet").get_config("imagenet")
    config.data.data_dir = str(imagenet)
    for key, value in recorded_images(read_json(run / "config.json")).items():
        config.data[key] = value
    return open_session(config, str(run))

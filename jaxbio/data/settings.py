"""The keys under ``config.data`` that the input pipeline reads, checked."""

import dataclasses
import os
import re
from typing import Any

from jaxbio.errors import InputError, suggest
from jaxbio.options import option, read

# Values of ``data.source``, and the module and function of this package that open each.
OF_SQUARES = {  # all of one size
    "digits": "digits.open_digits",
    "mnist": "mnist.open_mnist",
    "cifar10": "cifar.open_cifar",
    "cifar100": "cifar.open_cifar",
    "svhn": "svhn.open_svhn",
}
SOURCES = OF_SQUARES | {"folder": "folder.open_image_folder", "shards": "shards.open_shards"}
AUGMENTATIONS = ("none", "crop_flip", "shift")


class DataError(InputError):
    """Data or a data setting is unusable: one line that names it and the remedy."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Which data, and where it lies."""

    source: str = option("digits", f"{', '.join(SOURCES)} or tfds:<name>")
    data_dir: str | None = option(None, "default: the environment variable JAXBIO_DATA_DIR")

    def __post_init__(self) -> None:
        name = self.source
        if name not in SOURCES and not re.fullmatch(r"tfds:\w[\w/.-]*", name):
            raise DataError(f"data.source={name!r}: {suggest(name, SOURCES)} or tfds:<name>")


@dataclasses.dataclass(frozen=True)
class Settings(Place):
    """``data``: what the input pipeline reads."""

    image_size: int = option(32, "side of the square images that come out, pixels", "[1, 4096]")
    resize_size: int = option(
        0,
        "evaluation: shorter side before the centre crop; 0: image_size * 256 / 224, or no crop "
        "at all (a plain resize) if all images of the source have one size",
        "[0, 16384]",
    )
    augmentation: str = option("none", "of training images", choices=AUGMENTATIONS)
    crop_scale: tuple[float, float] = option(
        (0.08, 1.0), "crop_flip: area of the random crop, a share of the image", "(0, 1]"
    )
    flip: bool = option(True, "crop_flip: mirror every second image")
    max_shift: float = option(0.1, "shift: largest translation, a share of image_size", "[0, 1)")
    max_zoom: float = option(0.1, "shift: largest enlargement or reduction", "[0, 1)")
    classes: str = option(
        "", "these alone: imagenet100, or a text file with a name on each line; empty: all"
    )
    split: float = option(
        0.0,
        "share of the training set that is held out and tested on, of every class alike; 0: the "
        "data's own test set is tested on",
        "[0, 1)",
    )
    split_seed: int = option(0, "chooses what is held out", "[0, 4294967295]")
    exif_rotation: bool = option(
        False, "turn photographs as their EXIF orientation says; slower, and published nets do not"
    )
    max_bad_files: int = option(0, "undecodable files to skip before stopping", "[0, inf)")
    cache: str | bool = option(
        "auto",
        "tfds: keep encoded images in memory; auto: if there is no faster way",
        choices=("auto", "True", "False", True, False),
    )
    resident: str | bool = option(
        "auto",
        "training images in the devices' memory, cropped there; auto: on accelerators, up to 4 GiB",
        choices=("auto", "True", "False", True, False),
    )
    num_threads: int = option(0, "of the pipeline; 0: as many as cores", "[0, 4096]")
    prefetch: int = option(2, "batches prepared ahead", "[1, 65536]")

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.resize_size < self.image_size:
            raise DataError(
                f"data.resize_size={self.resize_size}: use 0 (automatic) or at least "
                f"data.image_size={self.image_size}"
            )
        if self.crop_scale[0] > self.crop_scale[1]:
            raise DataError(f"data.crop_scale={self.crop_scale}: use (smallest, largest)")

    @property
    def threads(self) -> int:
        """Examples to work on at a time."""
        available = getattr(os, "sched_getaffinity", None)
        return self.num_threads or (len(available(0)) if available else os.cpu_count() or 1)

    def resize_side(self, one_size: bool) -> int:
        """Shorter side before the centre crop; 0: resize without a crop.

        Args:
            one_size: whether all images of the source are squares of one size.
        """
        if self.resize_size or one_size:
            return self.resize_size
        return round(self.image_size * 256 / 224)


def read_settings(cfg: Any) -> Settings:
    """Reads and checks the keys; absent keys take their defaults, other keys are ignored.

    Args:
        cfg: an object with the keys as attributes, such as ``config.data``.

    Raises:
        DataError: a value is out of range.
    """
    try:
        settings = read(Settings, cfg, "data.")
    except InputError as error:
        raise DataError(str(error)) from None
    words: dict[Any, Any] = {"True": True, "False": False}
    data_dir = settings.data_dir or os.environ.get("JAXBIO_DATA_DIR")
    return dataclasses.replace(
        settings,
        data_dir=os.path.expanduser(data_dir) if data_dir else None,
        cache=words.get(settings.cache, settings.cache),
        resident=words.get(settings.resident, settings.resident),
    )

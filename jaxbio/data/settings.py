"""The keys under ``config.data`` that the input pipeline reads, checked."""

import dataclasses
import os
from typing import Any

from jaxbio.errors import InputError

AUGMENTATIONS = ("none", "crop_flip", "shift")


class DataError(InputError):
    """Data or a data setting is unusable: one line that names it and the remedy."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Every key with its default.

    Attributes:
      source: "digits", "mnist", "folder" or "tfds:<name>".
      data_dir: where the data lies; None: the environment variable JAXBIO_DATA_DIR.
      image_size: side of the square images that come out, in pixels.
      resize_size: evaluation: length of the shorter side before the centre crop; 0: image_size *
        256 / 224, or no crop at all (a plain resize) if all images of the source have one size.
      augmentation: of training images: "none" (as in evaluation), "crop_flip" or "shift".
      crop_scale: crop_flip: smallest and largest area of the random crop, as shares of the image.
      flip: crop_flip: mirror every second image.
      max_shift: shift: largest translation each way, as a share of image_size.
      max_zoom: shift: largest relative enlargement and reduction.
      max_bad_files: files that may fail to decode before that is an error.
      cache: tfds: keep the encoded images in memory: "auto" (if small), True or False.
      num_threads: of the pipeline; 0: chosen by tf.data.
      prefetch: batches prepared ahead.
    """

    source: str = "digits"
    data_dir: str | None = None
    image_size: int = 32
    resize_size: int = 0
    augmentation: str = "none"
    crop_scale: tuple[float, float] = (0.08, 1.0)
    flip: bool = True
    max_shift: float = 0.1
    max_zoom: float = 0.1
    max_bad_files: int = 0
    cache: str | bool = "auto"
    num_threads: int = 0
    prefetch: int = 2

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
    values = {}
    for field in dataclasses.fields(Settings):
        value = getattr(cfg, field.name, None)
        values[field.name] = field.default if value is None else value
    data_dir = values["data_dir"] or os.environ.get("JAXBIO_DATA_DIR")
    values["data_dir"] = os.path.expanduser(data_dir) if data_dir else None
    settings = Settings(**values)
    _check(settings)
    return dataclasses.replace(settings, crop_scale=tuple(float(x) for x in settings.crop_scale))


def _check(s: Settings) -> None:
    _require(isinstance(s.source, str), s, "source", "use digits, mnist, folder or tfds:<name>")
    _require(_is_int(s.image_size) and s.image_size > 0, s, "image_size", "use a positive integer")
    _require(
        _is_int(s.resize_size) and (s.resize_size == 0 or s.resize_size >= s.image_size),
        s,
        "resize_size",
        f"use 0 (automatic) or at least data.image_size={s.image_size}",
    )
    _require(
        s.augmentation in AUGMENTATIONS, s, "augmentation", f"use one of {', '.join(AUGMENTATIONS)}"
    )
    _require(
        isinstance(s.crop_scale, tuple | list)
        and len(s.crop_scale) == 2
        and all(map(_is_number, s.crop_scale))
        and 0 < s.crop_scale[0] <= s.crop_scale[1] <= 1,
        s,
        "crop_scale",
        "use (smallest, largest) with 0 < smallest <= largest <= 1",
    )
    for key in ("max_shift", "max_zoom"):
        value = getattr(s, key)
        _require(_is_number(value) and 0 <= value < 1, s, key, "use a share in [0, 1)")
    _require(isinstance(s.flip, bool), s, "flip", "use True or False")
    _require(_is_int(s.max_bad_files) and s.max_bad_files >= 0, s, "max_bad_files", "use 0 or more")
    _require(s.cache in ("auto", True, False), s, "cache", "use auto, True or False")
    _require(_is_int(s.num_threads) and s.num_threads >= 0, s, "num_threads", "use 0 or more")
    _require(_is_int(s.prefetch) and s.prefetch >= 1, s, "prefetch", "use 1 or more")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(good: bool, settings: Settings, key: str, remedy: str) -> None:
    if not good:
        raise DataError(f"data.{key}={getattr(settings, key)!r}: {remedy}")

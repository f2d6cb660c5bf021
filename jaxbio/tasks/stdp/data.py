"""The images of the published protocol: drawn with replacement, every presentation encoded anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np

from jaxbio.data.types import ArraySplit, Source
from jaxbio.errors import InputError

# Streams of random numbers of one seed.
_STREAMS = {"train": 1, "calibration": 2, "test": 3}


@dataclass(frozen=True)
class Pictures:
    """The three parts, ``[n, pixels]`` uint8 with labels ``[n]``.

    Attributes:
        train: learned from.
        calibration: the last images of the training set; votes come from them.
        test: the test set.
    """

    train: tuple[np.ndarray, np.ndarray]
    calibration: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    def for_validation(self) -> "Pictures":
        """The same without the test set: the second half of the calibration images takes its place.

        What is chosen by such results (parameters, readouts) has not seen the test set.
        """
        images, labels = self.calibration
        half = len(images) // 2
        calibration, test = (images[:half], labels[:half]), (images[half:], labels[half:])
        return replace(self, calibration=calibration, test=test)


def read_pictures(source: Source, crop: int, calibration_share: float) -> Pictures:
    """Prepares a data set: central crop, or enlargement of images smaller than the crop.

    MNIST's 28 x 28 pixels are cut to rows and columns 4 to 23 for a crop of 20, as published.

    Args:
        source: from :func:`jaxbio.data.open_source`, images in memory.
        crop: side in pixels.
        calibration_share: of the training set, taken from its end; published 1/6.

    Raises:
        InputError: images that are not in memory, or an empty part.
    """
    if not isinstance(source.train, ArraySplit) or not isinstance(source.eval, ArraySplit):
        raise InputError(f"data.source={source.name}: spiking networks take digits or mnist")
    train = fit_pictures(source.train.images, crop)
    first = len(train) - round(calibration_share * len(train))
    if not 0 < first < len(train):
        raise InputError(
            f"spiking.calibration_share={calibration_share} leaves no images to learn or to "
            "calibrate: use a share between 0 and 1, published 1/6"
        )
    labels = source.train.labels
    return Pictures(
        train=(train[:first], labels[:first]),
        calibration=(train[first:], labels[first:]),
        test=(fit_pictures(source.eval.images, crop), source.eval.labels),
    )


def draw(part: str, available: int, count: int, seed: int) -> np.ndarray:
    """Indices of ``count`` draws with replacement; a pure function of the arguments.

    A longer sequence begins with the shorter one.
    """
    return np.random.default_rng([seed, _STREAMS[part]]).integers(0, available, count)


def shared_levels(intensities: Sequence[float]) -> tuple[np.ndarray, list[int]]:
    """Levels of one encoder that serves networks of several intensities.

    Args:
        intensities: of each network, the rate of a white pixel in Hz.

    Returns:
        Rates ``[256 * distinct intensities]`` in Hz, and the level at which each network's 256 grey
        levels begin (see :func:`shift_levels`).
    """
    distinct = sorted(set(intensities))
    rates = np.concatenate([np.arange(256) * (intensity / 255.0) for intensity in distinct])
    return rates, [256 * distinct.index(intensity) for intensity in intensities]


def shift_levels(images: np.ndarray, begin: int) -> np.ndarray:
    """Grey levels, uint8, as levels of a network that begin at ``begin``; 0 is dark for all."""
    if begin == 0:
        return images
    return np.where(images > 0, images + np.uint16(begin), np.uint16(0))


def part_key(part: str, seed: int) -> jax.Array:
    """The key of a part's encoding."""
    return jax.random.fold_in(jax.random.key(seed), _STREAMS[part])


def fit_pictures(images: np.ndarray, crop: int) -> np.ndarray:
    """Central crop of grey or coloured images, or enlargement of smaller ones.

    Args:
        images: uint8 ``[n, H, H, C]``.
        crop: side in pixels.

    Returns:
        uint8 ``[n, crop * crop]``.
    """
    grey = images[..., 0] if images.shape[-1] == 1 else images.mean(-1)
    size = grey.shape[1]
    if size >= crop:
        start = (size - crop) // 2
        grey = grey[:, start : start + crop, start : start + crop]
    else:
        grey = jax.image.resize(grey.astype(np.float32), (len(grey), crop, crop), "linear")
    return np.asarray(np.rint(grey), np.uint8).reshape(len(grey), -1)

"""Images as people have them in a program: arrays, files, folders; prepared as in an evaluation."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxbio.data.settings import Settings
from jaxbio.data.types import ArraySplit
from jaxbio.errors import InputError
from jaxbio.features.pictures import Pictures, given_pictures, named_pictures

# Uint8 ``[n, H, W, C]``, or files.
Group = np.ndarray | Pictures
Images = str | Path | np.ndarray | Sequence[str | Path | np.ndarray]


def read_images(images: Images, one_size: bool) -> list[Group]:
    """Images in their order, as groups that the pipeline takes.

    Args:
        images: a file, a folder, an array uint8 ``[N, H, W, C]``, ``[H, W, C]`` or ``[H, W]``, C
            being 1 or 3, or a list of these.
        one_size: see :func:`jaxbio.features.pictures.given_pictures`.

    Raises:
        InputError: there are none, or something that is no image.
    """
    groups: list[Group] = []
    items = images if isinstance(images, list | tuple) else [images]
    for item in items:
        if isinstance(item, str | Path):
            groups.append(given_pictures([item], one_size=one_size))
        else:
            groups.append(_checked(item))
    if not sum(map(len, groups)):
        raise InputError("images is empty: give paths or uint8 arrays [N, H, W, 3]")
    return groups


def batches(
    groups: Sequence[Group], settings: Settings, batch_size: int, one_size: bool
) -> Iterator[dict[str, np.ndarray]]:
    """One pass over the groups; every batch has ``batch_size`` rows, padding is masked.

    Arrays that have the network's size are taken as they are; all else is resized and cropped.
    """
    start = 0
    for group in groups:
        side = settings.image_size
        whole = isinstance(group, np.ndarray) and group.shape[1:3] == (side, side)
        pictures = _from_array(group, one_size or whole) if isinstance(group, np.ndarray) else group
        prepared = dataclasses.replace(settings, resize_size=0) if whole else settings
        for batch in pictures.batches(prepared, batch_size):
            index = np.where(batch["index"] >= 0, batch["index"] + start, -1)
            yield {**batch, "index": index}
        start += len(group)


def fitting_batch(count: int, devices: int, most: int) -> int:
    """A batch size of few different ones, so that other numbers of images compile nothing new."""
    size = devices
    while size < count and 2 * size <= most:
        size *= 2
    return size


def _checked(item: Any) -> np.ndarray:
    if not isinstance(item, np.ndarray | jax.Array):
        raise InputError(
            f"images has a {type(item).__name__}: give paths or uint8 arrays [N, H, W, 3]"
        )
    array = np.asarray(item)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim == 3:
        array = array[None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise InputError(
            f"images has an array {array.dtype} {item.shape}: give uint8 [N, H, W, 3], 0 to 255"
        )
    if 0 in array.shape[1:3]:
        raise InputError(f"images has an array {item.shape}: without pixels; leave it out")
    return array


def _from_array(array: np.ndarray, one_size: bool) -> Pictures:
    split = ArraySplit(array, np.zeros(len(array), np.int32))
    return named_pictures(split, [str(number) for number in range(len(array))], one_size)

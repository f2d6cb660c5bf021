"""Evaluation batches whose whole images a function changes before they are resized and cropped."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import Batch, Transform


def transformed(
    batches: Generator[Batch, None, None],
    transform: Transform,
    settings: Settings,
    finish: Callable[[np.ndarray], np.ndarray],
) -> Iterator[Batch]:
    """Applies a function to whole images, then evaluation's resize and crop.

    Args:
        batches: evaluation batches whose ``image`` is a sequence of uint8 ``[H, W, 3]``.
        transform: see :func:`jaxbio.data.eval_batches`.
        settings: for the size and the number of threads.
        finish: uint8 ``[H, W, 3]`` to uint8 ``[S, S, 3]``.

    Yields:
        The batches with ``image`` uint8 ``[b, S, S, 3]``; masked rows are black.
    """
    side = settings.image_size
    # Closed, as an error's traceback would keep their thread alive.
    with contextlib.closing(batches), ThreadPoolExecutor(settings.threads) as pool:
        for batch in batches:
            rows = np.flatnonzero(batch["mask"])
            images = np.zeros((len(batch["mask"]), side, side, 3), np.uint8)
            if len(rows):
                indices = batch["index"][rows].tolist()
                changed = transform([batch["image"][row] for row in rows], indices)
                _check(changed, indices)
                for row, image in zip(rows, pool.map(finish, changed), strict=True):
                    images[row] = image
            yield {**batch, "image": images}


def _check(images: Any, indices: list[int]) -> None:
    found = len(images) if hasattr(images, "__len__") else type(images).__name__
    if found != len(indices):
        raise DataError(f"transform got {len(indices)} images, returned {found}: return as many")
    for image, index in zip(images, indices, strict=True):
        shape: tuple[int, ...]
        dtype, shape = getattr(image, "dtype", None), getattr(image, "shape", ())
        if dtype != np.uint8 or len(shape) != 3 or shape[-1] != 3 or 0 in shape:
            raise DataError(
                f"transform returned {dtype} {shape} for example {index}: return uint8 [H, W, 3]"
            )

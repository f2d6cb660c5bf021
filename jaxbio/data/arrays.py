"""Pipelines over images in memory, in NumPy; :mod:`jaxbio.data.batches` holds their contract."""

import functools
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from jaxbio.data.background import in_background
from jaxbio.data.philox import shuffled, uniform
from jaxbio.data.settings import Settings
from jaxbio.data.squares import resized, rgb, sampled
from jaxbio.data.types import ArraySplit, Batch, Source
from jaxbio.data.windows import DRAWS, Samples, sample_positions


def plans(
    num_examples: int,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    seed: int,
    start_step: int,
    num_steps: int | None,
) -> Iterator[tuple[np.ndarray, tuple[Samples, Samples] | None]]:
    """What this process reads in the training steps from ``start_step`` on, and where it samples.

    Yields:
        The examples, int32 ``[b]``, and rows and columns to sample at; None: the images stay.
    """
    per_epoch = num_examples // global_batch_size
    order = functools.lru_cache(maxsize=1)(functools.partial(shuffled, num_examples, 2 * seed))
    shape = (global_batch_size, DRAWS[settings.augmentation])
    for step in itertools.count(start_step):
        if num_steps is not None and step >= start_step + num_steps:
            return
        epoch, batch = divmod(step, per_epoch)
        first = batch * global_batch_size
        index = order(epoch)[first : first + global_batch_size][rows]
        # Drawn for the global batch and cut, so that the number of processes makes no difference.
        draws = uniform(2 * seed + 1, step, shape)[rows]
        yield index, sample_positions(settings, draws, settings.image_size)


def train_batches(
    source: Source,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    seed: int,
    start_step: int,
    num_steps: int | None,
) -> Iterator[Batch]:
    """See :func:`jaxbio.data.train_batches`; ``rows`` are this process's of the global batch."""
    split = source.train
    assert isinstance(split, ArraySplit)

    def batches() -> Iterator[Batch]:
        for index, positions in plans(
            len(split), settings, global_batch_size, rows, seed, start_step, num_steps
        ):
            images = resized(split.images[index], settings, source.one_size)
            if positions is not None:
                images = sampled(images, *positions)
            yield {"image": rgb(images), "label": split.labels[index], "index": index}

    return in_background(batches(), settings.prefetch)


def eval_batches(
    source: Source,
    split: ArraySplit,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    whole: bool,
) -> Iterator[Batch]:
    """See :func:`jaxbio.data.eval_batches`; ``whole`` leaves the images at their size."""
    columns = np.arange(global_batch_size, dtype=np.int32)[rows]

    def batches() -> Iterator[Batch]:
        for step in range(-(-len(split) // global_batch_size)):
            index = step * global_batch_size + columns
            mask = index < len(split)
            known = np.where(mask, index, 0)
            images = split.images[known]
            images[~mask] = 0
            if not whole:
                images = resized(images, settings, source.one_size)
            yield {
                "image": rgb(images),
                "label": np.where(mask, split.labels[known], np.int32(0)),
                "index": np.where(mask, index, np.int32(-1)),
                "mask": mask,
            }

    return in_background(batches(), settings.prefetch)


def finisher(settings: Settings, one_size: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Evaluation's resize and crop of one image: uint8 ``[H, W, 3]`` to ``[S, S, 3]``."""
    return lambda image: rgb(resized(image[None], settings, one_size))[0]

"""The tf.data graphs behind :mod:`jaxbio.data.batches`, which holds their contract.

Images in memory are gathered, resized and augmented a batch at a time, here. Encoded images are the
business of :mod:`jaxbio.data.encoded`.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from jaxbio.data import encoded, order, preparation
from jaxbio.data.background import in_background
from jaxbio.data.settings import DataError, Settings
from jaxbio.data.tensorflow_cpu import plain_graph, tf
from jaxbio.data.types import ArraySplit, Batch, Source, Split, Transform

# Each batch in the making takes memory, and a few threads outrun any model.
_MAX_PARALLEL_BATCHES = 8


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
    steps = order.training_steps(len(split), global_batch_size, rows, seed, start_step, num_steps)
    if not isinstance(split, ArraySplit):
        return encoded.train_batches(
            source, settings, global_batch_size, rows, seed, start_step, steps
        )

    images, labels = tf.constant(split.images), tf.constant(split.labels)
    draws_shape = (global_batch_size, preparation.DRAWS[settings.augmentation])

    @plain_graph
    def make_batch(step: "tf.Tensor", index: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        # Drawn for the global batch and cut, so that the number of processes makes no difference.
        key = order.stream_seed(seed, step, augmentation=True)
        draws = tf.random.stateless_uniform(draws_shape, key)[rows]
        batch = preparation.resized(tf.gather(images, index), settings, source.one_size)
        batch = preparation.augmented(batch, draws, settings)
        return {
            "image": preparation.rgb(batch),
            "label": tf.gather(labels, index),
            "index": index,
        }

    return preparation.iterate(steps.map(make_batch, _parallel_batches(settings)), settings)


def eval_batches(
    source: Source,
    split: Split,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    transform: Transform | None,
) -> Iterator[Batch]:
    """See :func:`jaxbio.data.eval_batches`; ``rows`` are this process's of the global batch."""
    steps = order.evaluation_steps(len(split), global_batch_size, rows)
    whole = transform is not None
    if isinstance(split, ArraySplit):
        batches = _eval_arrays(source, split, settings, steps, whole)
    else:
        batches = encoded.eval_batches(
            source, split, settings, global_batch_size, rows, steps, whole
        )
    if transform is None:
        return batches
    return in_background(
        _transformed(batches, transform, settings, source.one_size), settings.prefetch
    )


def _parallel_batches(settings: Settings) -> int:
    return min(settings.threads, _MAX_PARALLEL_BATCHES)


def _eval_arrays(
    source: Source, split: ArraySplit, settings: Settings, steps: "tf.data.Dataset", whole: bool
) -> Iterator[Batch]:
    images, labels = tf.constant(split.images), tf.constant(split.labels)

    @plain_graph
    def make_batch(step: "tf.Tensor", index: "tf.Tensor") -> dict[str, "tf.Tensor"]:
        del step
        mask, known = index >= 0, tf.maximum(index, 0)
        batch = tf.where(mask[:, None, None, None], tf.gather(images, known), tf.uint8.min)
        if not whole:
            batch = preparation.resized(batch, settings, source.one_size)
        return {
            "image": preparation.rgb(batch),
            "label": tf.where(mask, tf.gather(labels, known), 0),
            "index": index,
            "mask": mask,
        }

    return preparation.iterate(steps.map(make_batch, _parallel_batches(settings)), settings)


def _transformed(
    batches: Iterator[Batch], transform: Transform, settings: Settings, one_size: bool
) -> Iterator[Batch]:
    """Applies a function to whole images, then evaluation's resize and crop.

    Args:
        batches: evaluation batches whose ``image`` is a sequence of uint8 ``[H, W, 3]``.
        transform: see :func:`jaxbio.data.eval_batches`.
        settings: for the sizes and the number of threads.
        one_size: whether the source's images are squares of one size.

    Yields:
        The batches with ``image`` uint8 ``[b, S, S, 3]``; masked rows are black.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False)
    def finish(image: "tf.Tensor") -> "tf.Tensor":
        return preparation.rgb(preparation.resized(image[None], settings, one_size))[0]

    side = settings.image_size
    with ThreadPoolExecutor(settings.threads) as pool:
        for batch in batches:
            rows = np.flatnonzero(batch["mask"])
            images = np.zeros((len(batch["mask"]), side, side, 3), np.uint8)
            if len(rows):
                indices = batch["index"][rows].tolist()
                changed = transform([batch["image"][row] for row in rows], indices)
                _check(changed, indices)
                for row, image in zip(rows, pool.map(finish, changed), strict=True):
                    images[row] = image.numpy()
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

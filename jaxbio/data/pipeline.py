"""The tf.data graphs behind :mod:`jaxbio.data.batches` for encoded images.

Images in memory need none of it: :mod:`jaxbio.data.arrays`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from jaxbio.data import encoded, order, preparation
from jaxbio.data.settings import Settings
from jaxbio.data.tensorflow_cpu import tf
from jaxbio.data.types import Batch, EncodedSplit, Source


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
    count = source.num_train
    steps = order.training_steps(count, global_batch_size, rows, seed, start_step, num_steps)
    return encoded.train_batches(source, settings, global_batch_size, rows, seed, start_step, steps)


def eval_batches(
    source: Source,
    split: EncodedSplit,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    whole: bool,
) -> Iterator[Batch]:
    """See :func:`jaxbio.data.eval_batches`; ``whole`` leaves the images at their sizes."""
    steps = order.evaluation_steps(len(split), global_batch_size, rows)
    return encoded.eval_batches(source, split, settings, global_batch_size, rows, steps, whole)


def finisher(settings: Settings, one_size: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Evaluation's resize and crop of one image: uint8 ``[H, W, 3]`` to ``[S, S, 3]``."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False)
    def finish(image: "tf.Tensor") -> "tf.Tensor":
        return preparation.rgb(preparation.resized(image[None], settings, one_size))[0]

    return lambda image: finish(image).numpy()

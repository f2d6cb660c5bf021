"""Images in the memory of the devices: a training step is sent positions, not pictures.

The batches are those of :mod:`jaxbio.data.arrays`, bit for bit: compilers would
round a product and the sum that it goes into as one, so the products pass through integers, to
which a zero is added that only the running program knows.
"""

import logging
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jaxbio.data import arrays
from jaxbio.data.background import in_background
from jaxbio.data.settings import Settings
from jaxbio.data.squares import linear_positions
from jaxbio.data.types import ArraySplit, Source
from jaxbio.data.windows import Samples

_MOST_BYTES = 4 * 2**30

_logger = logging.getLogger("jaxbio.data")


def is_resident(source: Source, settings: Settings) -> bool:
    """Whether ``data.resident`` puts the training images into the devices' memory.

    ``auto`` does on accelerators, for images in memory of up to 4 GiB; on CPUs a thread beside the
    training is faster. What the devices have no form for is said.
    """
    split, wanted = source.train, settings.resident
    if wanted is False or not isinstance(split, ArraySplit):
        if wanted is True:
            _logger.warning("data.resident: %s is not decoded in memory; streamed", source.name)
        return False
    if wanted == "auto" and (jax.default_backend() == "cpu" or split.images.nbytes > _MOST_BYTES):
        return False
    if settings.resize_side(source.one_size) or max(split.images.shape[1:3]) > settings.image_size:
        _logger.warning("data.resident: images that shrink are resized by the host; streamed")
        return False
    return True


def train_batches(
    source: Source,
    settings: Settings,
    *,
    global_batch_size: int,
    rows: slice,
    seed: int,
    start_step: int,
    num_steps: int | None,
    whole: NamedSharding,
    split: NamedSharding,
) -> Iterator[dict[str, jax.Array]]:
    """Training batches on the devices, one made ahead; see :func:`jaxbio.data.train_batches`.

    The source's training images are in memory, no larger than the network's. ``rows`` are this
    process's of the global batch; ``whole`` puts a copy on every device, ``split`` a batch over
    them.
    """
    train = source.train
    assert isinstance(train, ArraySplit)
    images = jax.make_array_from_process_local_data(whole, train.images, train.images.shape)
    side = settings.image_size

    def prepare(images: jax.Array, sent: dict[str, Any], zero: jax.Array) -> dict[str, jax.Array]:
        made = jnp.take(images, sent["index"], axis=0).astype(jnp.float32)
        for axis in (2, 1):
            made = _enlarged(made, side, axis, zero)
        if sent["positions"] is not None:
            rows, columns = (Samples(*axis) for axis in sent["positions"])
            made = _sampled(made, columns, 2, zero)
            made = _sampled(made, rows, 1, zero)
        made = jnp.rint(made).astype(jnp.uint8)
        if made.shape[-1] == 1:
            made = jnp.repeat(made, 3, axis=-1)
        return {"image": made, "label": sent["label"], "index": sent["index"]}

    program = jax.jit(prepare, out_shardings=split)
    steps = arrays.plans(len(train), settings, global_batch_size, rows, seed, start_step, num_steps)
    waiting: list[dict[str, jax.Array]] = []
    for index, positions in in_background(steps, settings.prefetch):
        plan = {"index": index, "label": train.labels[index], "positions": positions}
        sent = jax.make_array_from_process_local_data(split, plan)
        waiting.append(program(images, sent, np.int32(0)))
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting


def _enlarged(images: jax.Array, side: int, axis: int, zero: jax.Array) -> jax.Array:
    if images.shape[axis] == side:
        return images
    low, high, weight = linear_positions(images.shape[axis], side)
    first, second = (jnp.take(images, jnp.asarray(at), axis=axis) for at in (low, high))
    shape = [-1 if i == axis else 1 for i in range(4)]
    return first + _rounded((second - first) * weight.reshape(shape), zero)


def _sampled(images: jax.Array, at: Samples, axis: int, zero: jax.Array) -> jax.Array:
    shape = [len(images), *(-1 if i == axis else 1 for i in (1, 2, 3))]
    low, high = (
        jnp.take_along_axis(images, pixel.reshape(shape), axis=axis) for pixel in (at.low, at.high)
    )
    low, high = (
        _rounded(pixels * weight.reshape(shape), zero)
        for pixels, weight in ((low, at.low_weight), (high, at.high_weight))
    )
    return low + high


def _rounded(product: jax.Array, zero: jax.Array) -> jax.Array:
    """The product as a float32 number, before anything is added to it."""
    bits = jax.lax.bitcast_convert_type(product, jnp.int32) + zero
    return jax.lax.bitcast_convert_type(bits, jnp.float32)

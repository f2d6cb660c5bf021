"""Pipelines over encoded images, graphs of tf.data: decoded one by one, in parallel and in order.

Images in memory need none of it: :mod:`jaxbio.data.arrays`.

An image that does not decode drops out of the stream of examples (tf's ``ignore_errors``), which
costs nothing where all is well. Every example carries its slot, so that :func:`_whole_batches` sees
the gap, and fills it. Each step's examples are followed by a marker that cannot fail: the stream
shows its progress even when every file fails, as when a disk goes away.
"""

import itertools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from jaxbio.data import decoding, geometry, order
from jaxbio.data.background import closed_at_exit
from jaxbio.data.settings import DataError, Settings
from jaxbio.data.tensorflow_cpu import plain_graph, tf
from jaxbio.data.types import Batch, EncodedSplit, Source
from jaxbio.data.windows import DRAWS, WINDOW_DRAWS
from jaxbio.errors import InputError

# Graph function: (step, position in the global batch, index) -> uint8 image and int32 label.
Example = Callable[["tf.Tensor", "tf.Tensor", "tf.Tensor"], tuple["tf.Tensor", "tf.Tensor"]]

# What is raised, eagerly, for a file that tf, or Pillow, cannot read or decode. The last one stands
# in for the first where tf's message would quote bytes that are not text.
_FAILURES = (tf.errors.OpError, InputError, UnicodeDecodeError)

_logger = logging.getLogger("jaxbio.data")


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
    split = cast(EncodedSplit, source.train)
    steps = order.training_steps(len(split), global_batch_size, rows, seed, start_step, num_steps)
    read = split.reader()
    draws_shape = (1, DRAWS[settings.augmentation])

    def example(
        step: "tf.Tensor", position: "tf.Tensor", index: "tf.Tensor"
    ) -> tuple["tf.Tensor", "tf.Tensor"]:
        contents, label = read(index)
        number = tf.cast(step, tf.int64) * global_batch_size + tf.cast(position, tf.int64)
        key = order.stream_seed(seed, number, augmentation=True)
        draws = tf.random.stateless_uniform(draws_shape, key)
        if settings.augmentation == "crop_flip":
            return _random_crop(contents, draws, settings), label
        image = decoding.decode(contents, settings.exif_rotation)
        images = _resized(image, settings, source.one_size)
        if settings.augmentation == "shift":
            images = geometry.shift_zoom(images, draws, settings.max_shift, settings.max_zoom)
        return geometry.to_uint8(images)[0], label

    def next_good(turn: int, row: int) -> dict[str, Any]:
        """The example, or the first one after it that decodes; same place, same augmentation."""
        step, position = start_step + turn, rows.start + row
        for candidate in order.successors(len(split), global_batch_size, seed, step, position):
            try:
                image, label = example(*map(tf.constant, (step, position, candidate)))
            except _FAILURES as error:
                _report(source, split, candidate, error, settings.max_bad_files)
            else:
                return {"image": image.numpy(), "label": label.numpy(), "index": candidate}
        raise DataError(f"none of the {len(split)} training examples decodes: replace them")

    side = settings.image_size
    chunks = _chunks(steps, rows, example, (side, side, 3), settings)
    return _whole_batches(chunks, ("image", "label", "index"), rows.stop - rows.start, next_good)


def eval_batches(
    source: Source,
    split: EncodedSplit,
    settings: Settings,
    global_batch_size: int,
    rows: slice,
    whole: bool,
) -> Iterator[Batch]:
    """See :func:`jaxbio.data.eval_batches`; ``whole`` leaves the images at their sizes.

    ``image`` is then an object array of uint8 ``[H, W, 3]``.
    """
    steps = order.evaluation_steps(len(split), global_batch_size, rows)
    read = split.reader()

    def example(
        step: "tf.Tensor", position: "tf.Tensor", index: "tf.Tensor"
    ) -> tuple["tf.Tensor", "tf.Tensor"]:
        del step, position
        contents, label = read(index)
        image = decoding.decode(contents, settings.exif_rotation)
        if not whole:
            image = geometry.to_uint8(_resized(image, settings, source.one_size))[0]
        return image, label

    def masked_out(turn: int, row: int) -> dict[str, Any]:
        position = rows.start + row
        index = turn * global_batch_size + position
        try:
            image, label = example(*map(tf.constant, (turn, position, index)))
        except _FAILURES as error:
            _report(source, split, index, error, settings.max_bad_files)
            return {"index": index}  # the rest stays zero: a masked row
        return {"image": image.numpy(), "label": label.numpy(), "index": index, "mask": True}

    side = settings.image_size
    shape = (None, None, 3) if whole else (side, side, 3)
    chunks = _chunks(steps, rows, example, shape, settings)
    names = ("image", "label", "index", "mask")
    return _whole_batches(chunks, names, rows.stop - rows.start, masked_out)


def finisher(settings: Settings, one_size: bool) -> Callable[[np.ndarray], np.ndarray]:
    """Evaluation's resize and crop of one image: uint8 ``[H, W, 3]`` to ``[S, S, 3]``."""

    @tf.function(input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)], autograph=False)
    def finish(image: "tf.Tensor") -> "tf.Tensor":
        return geometry.to_uint8(_resized(image, settings, one_size))[0]

    return lambda image: finish(image).numpy()


def _resized(image: "tf.Tensor", settings: Settings, one_size: bool) -> "tf.Tensor":
    """Evaluation's resize and crop: ``[H, W, 3]`` to float32 ``[1, S, S, 3]``."""
    sides = settings.resize_side(one_size), settings.image_size
    return geometry.resize_and_centre_crop(image[None], *sides)


def _random_crop(contents: "tf.Tensor", draws: "tf.Tensor", settings: Settings) -> "tf.Tensor":
    def choose(height: "tf.Tensor", width: "tf.Tensor") -> Any:
        windows = draws[:, :WINDOW_DRAWS]
        return [x[0] for x in geometry.random_window(windows, height, width, settings.crop_scale)]

    image = decoding.decode_window(contents, choose, settings.exif_rotation)[None]
    image = geometry.to_uint8(geometry.resize(image, settings.image_size))[0]
    if not settings.flip:
        return image
    return tf.cond(draws[0, WINDOW_DRAWS] < 0.5, lambda: image[:, ::-1], lambda: image)


def _chunks(
    steps: "tf.data.Dataset",
    rows: slice,
    example: Example,
    shape: tuple[int | None, ...],
    settings: Settings,
) -> Iterator[dict[str, np.ndarray]]:
    """The stream of markers and of the examples that decode, some at a time.

    Returns:
        Iterator of dicts of arrays with an entry per example or marker: ``slot`` (rows + 1 of them
        per step, the last one for the marker), ``image``, ``label``, ``index``, ``mask``. If
        ``shape`` leaves sizes open, ``image`` is an object array.
    """
    count = rows.stop - rows.start

    @plain_graph
    def slots(turn: "tf.Tensor", numbered: tuple["tf.Tensor", "tf.Tensor"]) -> tuple:
        step, index = numbered
        row = tf.range(count + 1)
        slot = turn * (count + 1) + tf.cast(row, tf.int64)
        return slot, tf.fill([count + 1], step), rows.start + row, tf.concat([index, [-1]], 0)

    @plain_graph
    def load(
        slot: "tf.Tensor", step: "tf.Tensor", position: "tf.Tensor", index: "tf.Tensor"
    ) -> dict[str, "tf.Tensor"]:
        image, label = tf.cond(
            index >= 0,
            lambda: example(step, position, index),
            lambda: (tf.zeros([side or 0 for side in shape], tf.uint8), tf.constant(0, tf.int32)),
        )
        image = tf.ensure_shape(image, shape)
        return {"slot": slot, "image": image, "label": label, "index": index, "mask": index >= 0}

    parallel = settings.threads
    examples = steps.enumerate().map(slots).unbatch().map(load, parallel)
    examples = examples.ignore_errors(log_warning=False)
    if None not in shape:
        # At most all rows of a step and its marker: the common chunk is one whole batch.
        return _iterate(examples.batch(count + 1), settings)
    return map(_single, _iterate(examples.prefetch(count), settings))


def _iterate(dataset: "tf.data.Dataset", settings: Settings) -> Iterator[dict[str, np.ndarray]]:
    """Runs a dataset ahead of its consumer; its elements come as (read-only) arrays."""
    options = tf.data.Options()
    options.deterministic = True
    # All parallelism is explicit; the tuning thread would warn on stderr when it is cancelled.
    options.autotune.enabled = False
    options.experimental_warm_start = True  # work begins now: a model compiles meanwhile
    if settings.num_threads:
        options.threading.private_threadpool_size = settings.num_threads
    ahead = dataset.prefetch(settings.prefetch).with_options(options).as_numpy_iterator()
    return closed_at_exit(element for element in ahead)


def _single(example: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A chunk of one example, whose image may have any size."""
    image = np.empty(1, object)
    image[0] = example["image"]
    return {**{name: np.asarray(value)[None] for name, value in example.items()}, "image": image}


def _whole_batches(
    chunks: Iterator[dict[str, np.ndarray]],
    names: tuple[str, ...],
    count: int,
    repair: Callable[[int, int], dict[str, Any]],
) -> Iterator[dict[str, np.ndarray]]:
    """Cuts a stream of chunks at the markers, and fills the gaps.

    Args:
        chunks: from :func:`_chunks`.
        names: of the arrays to hand on.
        count: rows of a batch.
        repair: (number of the batch in the stream, row) -> values of a missing row; what it leaves
            out is zero.
    """
    width = count + 1
    rest: dict[str, np.ndarray] | None = None
    parts: list[dict[str, np.ndarray]]
    for turn in itertools.count():
        first, parts = turn * width, [] if rest is None else [rest]
        while not parts or parts[-1]["slot"][-1] < first + count:
            chunk = next(chunks, None)
            if chunk is None:
                return
            parts.append(chunk)
        joined = parts[0]
        if len(parts) > 1:
            joined = {name: np.concatenate([part[name] for part in parts]) for name in joined}
        end = int(np.searchsorted(joined["slot"], first + width))
        rest = None
        if end < len(joined["slot"]):
            rest = {name: values[end:] for name, values in joined.items()}
        if end == width:
            yield {name: joined[name][:count] for name in names}
            continue
        present = joined["slot"][: end - 1] - first
        batch = {}
        for name in names:
            values = joined[name][: end - 1]
            batch[name] = np.zeros((count, *values.shape[1:]), values.dtype)
            batch[name][present] = values
        for row in sorted(set(range(count)) - set(present.tolist())):
            repaired = repair(turn, row)
            for name in repaired.keys() & batch.keys():
                batch[name][row] = repaired[name]
        yield batch


def _report(source: Source, split: EncodedSplit, index: int, error: Exception, limit: int) -> None:
    """Notes an example that does not decode; raises if there are more than ``limit``."""
    name = split.example_name(index)
    first_line = (str(error).splitlines() or [type(error).__name__])[0]
    reason = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", first_line).strip()
    new = name not in source.bad_files
    if new:
        source.bad_files.append(name)
    if len(source.bad_files) > limit:
        so_far = f", the {len(source.bad_files)}th such file" if limit else ""
        raise DataError(
            f"{name} does not decode ({reason}){so_far}: repair or remove it, or raise "
            f"data.max_bad_files={limit}"
        ) from error
    if new:
        _logger.warning("%s does not decode (%s): skipped", name, reason)

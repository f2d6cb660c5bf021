"""The two iterators over a source: endless training batches and one exact pass of evaluation."""

from collections.abc import Iterator
from typing import Any

from jaxbio.data import arrays
from jaxbio.data.background import in_background
from jaxbio.data.settings import DataError, read_settings
from jaxbio.data.transformed import transformed
from jaxbio.data.types import ArraySplit, Batch, Source, Transform


def steps_per_epoch(source: Source, global_batch_size: int) -> int:
    """Training steps in an epoch; the incomplete batch at its end is dropped.

    Raises:
        DataError: the batch is larger than the training set, or not positive.
    """
    if global_batch_size < 1:
        raise DataError(f"a batch size of {global_batch_size}: use a positive integer")
    if not source.num_train:
        raise DataError(f"data.source={source.name!r} has no training examples: add train/")
    if global_batch_size > source.num_train:
        raise DataError(
            f"a training batch of {global_batch_size} is larger than the {source.num_train} "
            f"training examples of data.source={source.name!r}: reduce it"
        )
    return source.num_train // global_batch_size


def train_batches(
    source: Source,
    cfg: Any,
    *,
    global_batch_size: int,
    seed: int,
    start_step: int = 0,
    num_steps: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
) -> Iterator[Batch]:
    """This process's part of the training batches from ``start_step`` on.

    A batch is a pure function of (seed, step, global_batch_size, data, settings): it does not
    depend on where the run was resumed, on threads or on ``process_count``. The parts of all
    processes, joined in their order, are the batch of a single process, bit for bit.

    An example that does not decode is logged, added to ``source.bad_files`` and replaced by the
    next good one in the epoch's order, until there are more than ``cfg.max_bad_files`` of them.

    Args:
        source: from :func:`open_source`.
        cfg: ``config.data``, see :class:`jaxbio.data.settings.Settings`.
        global_batch_size: examples per step over all processes.
        seed: of order and augmentation.
        start_step: number of the first step.
        num_steps: how many steps; None: no end.
        process_index: of this process, 0..process_count - 1.
        process_count: number of processes; divides ``global_batch_size``.

    Returns:
        Iterator of dicts with ``image`` uint8 ``[b, S, S, 3]``, ``label`` int32 ``[b]`` and
        ``index`` int32 ``[b]`` (the example's number in the training split), where b is
        ``global_batch_size // process_count`` and S is ``cfg.image_size``. Arrays may be read-only.

    Raises:
        DataError: a setting does not fit; from the iterator: too many files that do not decode.
    """
    settings = read_settings(cfg)
    rows = rows_of_process(global_batch_size, process_index, process_count)
    steps_per_epoch(source, global_batch_size)
    if start_step < 0 or (num_steps is not None and num_steps < 0):
        raise DataError(f"start_step={start_step}, num_steps={num_steps}: use 0 or more")
    if not -(2**62) <= seed < 2**62:
        raise DataError(f"seed={seed}: use an integer of at most 62 bits")
    make: Any = arrays
    if not isinstance(source.train, ArraySplit):
        from jaxbio.data import encoded as make  # imports tensorflow

    return make.train_batches(
        source, settings, global_batch_size, rows, int(seed), int(start_step), num_steps
    )


def eval_batches(
    source: Source,
    cfg: Any,
    *,
    global_batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
    split: str = "eval",
    transform: Transform | None = None,
) -> Iterator[Batch]:
    """This process's part of one pass over a split, in order, without augmentation.

    Every example comes once over all processes, and every process gets the same number of batches.
    The last batch is padded: rows with ``mask`` False do not count. An example that does not decode
    is logged, added to ``source.bad_files`` and masked out (its ``index`` stays, its image is
    black, its label 0), until there are more than ``cfg.max_bad_files`` of them.

    Args:
        source: from :func:`open_source`.
        cfg: ``config.data``, see :class:`jaxbio.data.settings.Settings`.
        global_batch_size: examples per step over all processes.
        process_index: of this process, 0..process_count - 1.
        process_count: number of processes; divides ``global_batch_size``.
        split: "eval" or "train".
        transform: changes whole images before they are resized and cropped: a function of a list of
            uint8 ``[H, W, 3]`` arrays (one batch of this process, without padding; sizes may
            differ) and the list of their indices, that returns as many uint8 ``[H', W', 3]``
            arrays. It runs in a background thread while the caller works on earlier batches.

    Returns:
        Iterator of dicts with ``image`` uint8 ``[b, S, S, 3]``, ``label`` int32 ``[b]`` (0 in
        padding), ``index`` int32 ``[b]`` (-1 in padding) and ``mask`` bool ``[b]``. Arrays may be
        read-only.

    Raises:
        DataError: a setting does not fit; from the iterator: too many files that do not decode, or
            a transform that returns something else.
    """
    settings = read_settings(cfg)
    rows = rows_of_process(global_batch_size, process_index, process_count)
    if split not in ("eval", "train"):
        raise DataError(f"split={split!r}: use eval or train")
    chosen = source.train if split == "train" else source.eval
    make: Any = arrays
    if not isinstance(chosen, ArraySplit):
        from jaxbio.data import encoded as make  # imports tensorflow

    whole = transform is not None
    batches = make.eval_batches(source, chosen, settings, global_batch_size, rows, whole)
    if transform is None:
        return batches
    finish = make.finisher(settings, source.one_size)
    return in_background(transformed(batches, transform, settings, finish), settings.prefetch)


def rows_of_process(global_batch_size: int, process_index: int, process_count: int) -> slice:
    """A process's rows of the global batch.

    Raises:
        DataError: they cannot be divided, or there is no such process.
    """
    if global_batch_size < 1 or process_count < 1 or global_batch_size % process_count:
        raise DataError(
            f"a batch of {global_batch_size} cannot be divided among {process_count} processes: "
            "use a multiple"
        )
    if not 0 <= process_index < process_count:
        raise DataError(f"process_index={process_index}: use 0..{process_count - 1}")
    size = global_batch_size // process_count
    return slice(process_index * size, (process_index + 1) * size)

"""From images on disk to features on disk: decoding, computing and writing at the same time."""

import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

from jaxbio.data.settings import Settings
from jaxbio.features.extract import Extractor
from jaxbio.features.pictures import Pictures
from jaxbio.features.store import Writer

_PLAIN_LINE_SECONDS = 10.0


def fill(
    writer: Writer, extractor: Extractor, pictures: Pictures, settings: Settings, batch_size: int
) -> None:
    """Computes and writes the features of all images that a file does not hold yet.

    Threads decode ahead; while a batch is computed, the one before it is written. So three batches
    of features are alive at most: computed, fetched, written. A bar shows images and the time left.

    ``settings`` say how they are prepared, and how many may fail to decode; ``batch_size`` is a
    multiple of the number of devices.

    Raises:
        DataError: too many images do not decode.
        InputError: the disk is full or fails.
    """
    if writer.done == len(pictures):
        return
    batches = pictures.batches(settings, batch_size, writer.done)
    bar = tqdm(
        total=len(pictures),
        initial=writer.done,
        unit="image",
        mininterval=0.1 if sys.stderr.isatty() else _PLAIN_LINE_SECONDS,
    )
    with ThreadPoolExecutor(1) as pool, bar:
        written: Future | None = None
        for batch, features in extractor.stream(batches):
            if written is not None:
                bar.update(written.result())
            written = pool.submit(_write, writer, batch, features)
        if written is not None:
            bar.update(written.result())


def _write(writer: Writer, batch: Mapping[str, Any], features: dict[str, np.ndarray]) -> int:
    count = int(np.count_nonzero(batch["index"] >= 0))  # padding comes last
    good = batch["mask"][:count]
    rows = slice(count) if good.all() else np.flatnonzero(good)
    writer.write({name: array[rows] for name, array in features.items()}, good)
    return count

"""A sample of the test set: data that lie class by class show few classes at their beginning."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from jaxbio.data.splits import taken

if TYPE_CHECKING:
    from jaxbio.data.types import Batch
    from jaxbio.tasks.classification.opened import Session

_SEED = 0  # everyone's: networks are compared on the same images


def sampled_batches(session: "Session", count: int) -> "Iterable[Batch]":
    """This process's part of one pass over images of the test set, drawn at random.

    They are the same for every network, come in the test set's order, and a smaller sample is a
    part of a larger one.

    Args:
        session: an opened run.
        count: images; 0, or more than there are: all.

    Returns:
        Batches as of ``session.batches()``; ``index`` is the number in the whole test set.
    """
    source = session.source
    assert source is not None
    if not 0 < count < source.num_eval:
        return session.batches()
    numbers = np.random.default_rng(_SEED).permutation(source.num_eval)[:count]
    numbers = np.sort(numbers).astype(np.int32)
    part = dataclasses.replace(source, eval=taken(source.eval, numbers))
    return _numbered(dataclasses.replace(session, source=part).batches(), numbers)


def _numbered(batches: "Iterable[Batch]", numbers: np.ndarray) -> "Iterator[Batch]":
    for batch in batches:
        yield {**batch, "index": np.where(batch["index"] < 0, -1, numbers[batch["index"]])}

"""Images in batches: sources, order, augmentation and exact evaluation.

The only package that imports tensorflow, and it does so when a pipeline is built, not before.
"""

from jaxbio.data.batches import eval_batches, steps_per_epoch, train_batches
from jaxbio.data.settings import DataError
from jaxbio.data.sources import open_source
from jaxbio.data.types import Source

__all__ = [
    "DataError",
    "Source",
    "eval_batches",
    "open_source",
    "steps_per_epoch",
    "train_batches",
]

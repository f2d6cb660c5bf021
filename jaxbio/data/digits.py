"""scikit-learn's 1,797 handwritten digits of 8x8 pixels: real data that needs no download."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.data.settings import Settings
from jaxbio.data.types import ArraySplit, Source

TEST_EVERY = 5


def open_digits(_: Settings | None = None) -> Source:
    """Opens the digits.

    The split is fixed and stratified: of each class, in file order, examples 0, 5, 10, ... (every
    fifth) are for evaluation, the others for training. Grey values 0..16 become 0..255.

    Reference:
        E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI repository, 1998.
    """
    # The file of ``load_digits``: read in 20 ms, where importing scikit-learn takes over a second.
    spec: Any = importlib.util.find_spec("sklearn")  # there: the package needs it
    package = Path(spec.origin).parent
    table = np.loadtxt(package / "datasets/data/digits.csv.gz", np.uint8, delimiter=",")
    images = np.round(table[:, :64].reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    labels = table[:, 64].astype(np.int32)
    held_out = np.zeros(len(labels), bool)
    for digit in range(10):
        held_out[np.flatnonzero(labels == digit)[::TEST_EVERY]] = True
    return Source(
        name="digits",
        class_names=[str(digit) for digit in range(10)],
        train=ArraySplit(images[~held_out], labels[~held_out]),
        eval=ArraySplit(images[held_out], labels[held_out]),
        one_size=True,
        fingerprint=lambda: hashlib.sha256(table.tobytes()).hexdigest()[:16],
    )

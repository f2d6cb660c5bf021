"""scikit-learn's 1,797 handwritten digits of 8x8 pixels: real data that needs no download."""

import gzip
import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from jaxbio.data.settings import DataError
from jaxbio.data.types import ArraySplit, Source

TEST_EVERY = 5


def open_digits() -> Source:
    """Opens the digits.

    The split is fixed and stratified: of each class, in file order, examples 0, 5, 10, ... (every
    fifth) are for evaluation, the others for training. Grey values 0..16 become 0..255.

    Raises:
      DataError: scikit-learn has no such file.

    Reference:
      E. Alpaydin and C. Kaynak, Optical recognition of handwritten digits, UCI repository, 1998.
    """
    table = _read_table()
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


def _read_table() -> np.ndarray:
    # Reading scikit-learn's file takes milliseconds; importing scikit-learn takes over a second.
    package = importlib.util.find_spec("sklearn")
    folder = Path(package.submodule_search_locations[0]) if package else Path("sklearn")
    path = folder / "datasets" / "data" / "digits.csv.gz"
    if not path.is_file():
        raise DataError(f"{path} does not exist: data.source='digits' needs scikit-learn >= 1.5")
    with gzip.open(path, "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    if table.shape != (1797, 65) or table[:, :64].max() != 16 or table[:, 64].max() != 9:
        raise DataError(f"{path} does not hold 1797 digits of 8x8 pixels: reinstall scikit-learn")
    return table

"""Street View House Numbers, cropped digits, from the published MATLAB files.

Reference:
    Netzer et al. 2011, "Reading Digits in Natural Images with Unsupervised Feature Learning", NIPS
    workshop on deep learning and unsupervised feature learning.
"""

from pathlib import Path

import numpy as np

from jaxbio.data.settings import DataError, Settings
from jaxbio.data.types import ArraySplit, Source, array_source, existing_data_dir

_FILES = {"train": "train_32x32.mat", "eval": "test_32x32.mat"}
_SIDE = 32
_TFDS = "svhn_cropped"


def open_svhn(settings: Settings) -> Source:
    """Opens SVHN: 73,257 training and 26,032 test images of 32 pixels, ten digits.

    ``data_dir``, or the folder ``svhn`` in it, has ``train_32x32.mat`` and ``test_32x32.mat``; or
    ``data_dir`` has what ``tfds build svhn_cropped`` leaves there.

    Raises:
        DataError: files are missing, or are others.
        InputError: a file that cannot be read.
    """
    place = Path(existing_data_dir(settings))
    for folder in (place / "svhn", place):
        if any((folder / name).is_file() for name in _FILES.values()):
            break
    else:
        if any((place / _TFDS).glob("*/dataset_info.json")):
            from jaxbio.data.tfds import open_tfds

            return open_tfds(settings, _TFDS)
        raise DataError(
            f"{place} has no svhn: put train_32x32.mat and test_32x32.mat of "
            f"http://ufldl.stanford.edu/housenumbers into {place / 'svhn'}, or run `tfds build "
            f"{_TFDS} --file_format=array_record --data_dir={place}`"
        )
    splits = {split: _read(folder / name) for split, name in _FILES.items()}
    return array_source("svhn", [str(digit) for digit in range(10)], splits)


def _read(path: Path) -> ArraySplit:
    from jaxbio.files.matlab import read_mat, require  # SciPy takes a second to import

    if not path.is_file():
        raise DataError(f"{path} is missing: fetch it beside the other one")
    variables = read_mat(path)
    images, labels = require(variables, "X", path), require(variables, "y", path)
    if images.dtype != np.uint8 or images.shape[:-1] != (_SIDE, _SIDE, 3):
        raise DataError(
            f"{path}: X is {images.dtype} {images.shape}, must be uint8 [{_SIDE}, {_SIDE}, 3, N]"
        )
    labels = labels.ravel()
    if len(labels) != images.shape[-1] or not len(labels):
        raise DataError(f"{path} has {images.shape[-1]} images and {len(labels)} labels")
    if not np.isin(labels, range(1, 11)).all():
        raise DataError(f"{path}: y has {labels.min()} to {labels.max()}, must have 1 to 10 (zero)")
    return ArraySplit(
        np.ascontiguousarray(np.moveaxis(images, -1, 0)), (labels % 10).astype(np.int32)
    )

"""The files of CIFAR: the published binary ones, the published Python batches, ``.npz``."""

from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from jaxbio.data.settings import DataError
from jaxbio.errors import InputError
from jaxbio.files.npz import npz_names, read_npz
from jaxbio.files.pickle_values import KNOWN, Values, plain
from jaxbio.files.pickles import Budget, Stream

Arrays = tuple[np.ndarray, np.ndarray]

# Fields of an .npz: images and labels of training, then of the test. The second are Keras's names.
_FIELDS = (
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("x_train", "y_train", "x_test", "y_test"),
)


def read_binary(content: bytes, label_bytes: int, side: int, where: str) -> Arrays:
    """Records of 1 label byte, or of CIFAR-100's 2, whose first says the superclass, and a
    picture's planes; ``where`` is the file, for messages.

    Returns:
        uint8 ``[N, side, side, 3]`` and uint8 ``[N]``.

    Raises:
        DataError: another length.
    """
    length = label_bytes + 3 * side**2
    if not content or len(content) % length:
        raise DataError(
            f"{where} has {len(content)} bytes, no multiple of {length}: fetch it again"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    return _upright(records[:, label_bytes:], side), records[:, label_bytes - 1]


def read_batch(content: bytes, side: int, where: str) -> Arrays:
    """A pickled dict of ``data`` and ``labels`` (or ``fine_labels``); nothing in it is run.

    Returns:
        uint8 ``[N, side, side, 3]`` and int ``[N]``.

    Raises:
        DataError: another content, or a damaged one.
    """
    try:
        budget = Budget(len(content))
        root = Stream(content, _no_storage, budget, KNOWN).load()
        batch: Any = plain(root, Values(_no_storage, budget, unknown=False))
        batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        data = batch["data"]
        labels = np.asarray(batch["fine_labels" if "fine_labels" in batch else "labels"])
    except Exception as error:  # what damage makes of a pickle has no end
        reason = str(error) if isinstance(error, InputError) else type(error).__name__
        raise DataError(f"{where} is no Python batch of CIFAR ({reason}): fetch it again") from None
    shape = getattr(data, "shape", None)
    if shape != (len(labels), 3 * side**2) or data.dtype != np.uint8 or labels.dtype.kind != "i":
        raise DataError(
            f"{where} has data {shape} for {len(labels)} labels: uint8 [N, {3 * side**2}] and "
            "whole numbers [N] are needed"
        )
    return _upright(data, side), labels


def read_arrays(path: Path, side: int) -> dict[str, Arrays]:
    """``train_images``, ``train_labels``, ``test_images``, ``test_labels``, or ``x_train``, ...

    Returns:
        By split uint8 ``[N, side, side, 3]`` and int ``[N]``; images may be ``[N, 3, side, side]``
        in the file.

    Raises:
        DataError: fields are missing or of another shape or type.
        InputError: it cannot be read.
    """
    there = npz_names(path)
    names = next((names for names in _FIELDS if set(names) <= set(there)), None)
    if names is None:
        raise DataError(
            f"{path} has the fields {', '.join(there)}: {', '.join(_FIELDS[0])} are needed"
        )
    arrays = read_npz(path, names)
    splits = {}
    for split, name, of_labels in zip(("train", "eval"), names[::2], names[1::2], strict=True):
        images, labels = arrays[name], arrays[of_labels]
        if images.ndim == 4 and images.shape[1] == 3 and images.shape[3] != 3:
            images = images.transpose(0, 2, 3, 1)
        labels = labels.reshape(-1)
        if images.shape[1:] != (side, side, 3) or images.dtype != np.uint8:
            raise DataError(
                f"{path}: {name} is {images.dtype} {images.shape}: uint8 [N, {side}, {side}, 3] is "
                "needed"
            )
        if len(labels) != len(images) or labels.dtype.kind not in "iu":
            raise DataError(f"{path}: {name} has {len(images)} pictures, {len(labels)} labels")
        splits[split] = np.ascontiguousarray(images), labels.astype(np.int64)
    return splits


def _upright(rows: np.ndarray, side: int) -> np.ndarray:
    return np.ascontiguousarray(rows.reshape(-1, 3, side, side).transpose(0, 2, 3, 1))


def _no_storage(key: Any) -> NoReturn:
    raise InputError("it refers to data outside of it")

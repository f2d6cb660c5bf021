"""``.npz`` and ``.npy`` files that others made: no pickles, errors that name file and field."""

import math
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular, reading, reason
from jaxbio.files.sizes import check_size, inflated

_KIND = "an .npz file"


def read_npz(
    path: Path, required: Iterable[str] = (), optional: Iterable[str] | None = ()
) -> dict[str, np.ndarray]:
    """The arrays asked for.

    Args:
        path: the file.
        required: fields that must be there.
        optional: fields that are read if they are there; None reads every field.

    Raises:
        InputError: the file is unreadable, a field is missing or holds Python objects.
    """
    required = list(required)
    names = check_npz(path)  # first: of anything but a zip file NumPy speaks of pickles
    for name in required:
        if name not in names:
            raise InputError(
                f"{path}: field '{name}' is missing; it has {', '.join(names) or 'nothing'}"
            )
    wanted = names if optional is None else [*required, *optional]
    with reading(path, _KIND), np.load(path, allow_pickle=False) as file:
        return {name: _array(file, name, path) for name in names if name in wanted}


def check_npz(path: Path) -> list[str]:
    """Names of the arrays in a file, after what they declare was held against the file.

    Raises:
        InputError: not an ``.npz`` file, or an array larger than the file or the memory.
    """
    check_regular(path)
    with reading(path, _KIND), zipfile.ZipFile(path) as file:
        infos = file.infolist()
        for info in infos:
            what = f"field '{info.filename.removesuffix('.npy')}'"
            stored = info.compress_size
            packed = info.compress_type != zipfile.ZIP_STORED
            check_size(path, what, info.file_size, inflated(stored) if packed else stored)
            if info.filename.endswith(".npy"):
                with file.open(info) as member:
                    check_size(path, what, _declared(member), info.file_size)
        total = sum(info.file_size for info in infos)  # members may lie over each other
        check_size(path, "all fields together", total, inflated(path.stat().st_size))
        return [info.filename.removesuffix(".npy") for info in infos]


def read_npy(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    """The array in an ``.npy`` file.

    Args:
        path: the file.
        mmap_mode: "r": its pages are read when they are used.

    Raises:
        InputError: not such a file, or it declares more than the file or the memory has.
    """
    check_regular(path)
    with reading(path, "an .npy file"):
        with path.open("rb") as file:
            check_size(path, "the array", _declared(file), path.stat().st_size)
        return np.load(path, mmap_mode, allow_pickle=False)


def _declared(member: IO[bytes]) -> int:
    """Bytes of the array whose ``.npy`` header comes next."""
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a header of Python 2
        shape, _, dtype = read(member)
    if any(size < 0 for size in shape) or math.prod(filter(None, shape)) >= 2**62:
        raise ValueError(f"an array of shape {shape}")
    return math.prod(shape) * max(1, dtype.itemsize)


def npz_names(path: Path) -> list[str]:
    """Names of the arrays in a file, without reading them.

    Raises:
        InputError: not an ``.npz`` file.
    """
    check_regular(path)
    with reading(path, _KIND), zipfile.ZipFile(path) as file:
        return [name.removesuffix(".npy") for name in file.namelist()]


def _array(file: np.lib.npyio.NpzFile, name: str, path: Path) -> np.ndarray:
    try:
        values = file[name]
        return np.zeros(values.shape, "<U1") if values.dtype == "<U0" else values
    except ValueError as error:  # NumPy's refusal of pickles, or a damaged header
        raise InputError(f"{path}: field '{name}' cannot be read ({reason(error)})") from error

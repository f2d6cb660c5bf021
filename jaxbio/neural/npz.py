"""Reading of ``.npz`` files that others made: no pickles, errors that name file and field."""

import math
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.sizes import INFLATION, check_size

_ZIP_ERRORS = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)


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
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: _array(file, name, path) for name in names if name in wanted}
    except _ZIP_ERRORS as error:
        raise InputError(f"{path} cannot be read as an .npz file ({error})") from error


def check_npz(path: Path) -> list[str]:
    """Names of the arrays in a file, after what they declare was held against the file.

    Raises:
        InputError: not an ``.npz`` file, or an array larger than the file or the memory.
    """
    try:
        with zipfile.ZipFile(path) as file:
            for info in file.infolist():
                what = f"field '{info.filename.removesuffix('.npy')}'"
                stored = info.compress_size
                packed = info.compress_type != zipfile.ZIP_STORED
                check_size(path, what, info.file_size, stored * INFLATION if packed else stored)
                if info.filename.endswith(".npy"):
                    with file.open(info) as member:
                        check_size(path, what, _declared(member), info.file_size)
        return npz_names(path)
    except (*_ZIP_ERRORS, ValueError, SyntaxError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as an .npz file ({error})") from error


def check_npy(path: Path) -> None:
    """Holds what an ``.npy`` file declares against the file and the memory.

    Raises:
        InputError: not such a file, or it declares more.
    """
    try:
        with path.open("rb") as file:
            check_size(path, "the array", _declared(file), path.stat().st_size)
    except (OSError, EOFError, ValueError, SyntaxError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as an .npy file ({error})") from error


def _declared(member: IO[bytes]) -> int:
    """Bytes of the array whose ``.npy`` header comes next."""
    version = np.lib.format.read_magic(member)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
        version, np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(member)
    return math.prod(shape) * dtype.itemsize


def npz_names(path: Path) -> list[str]:
    """Names of the arrays in a file, without reading them.

    Raises:
        InputError: not an ``.npz`` file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except _ZIP_ERRORS as error:
        raise InputError(f"{path} cannot be read as an .npz file ({error})") from error


def _array(file: np.lib.npyio.NpzFile, name: str, path: Path) -> np.ndarray:
    try:
        return file[name]
    except ValueError as error:  # NumPy's refusal of pickles, or a damaged header
        raise InputError(f"{path}: field '{name}' cannot be read ({error})") from error

"""Reading of ``.npz`` files that others made: no pickles, errors that name file and field."""

import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxbio.errors import InputError


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
    names = npz_names(path)  # first: of anything but a zip file NumPy speaks of pickles
    for name in required:
        if name not in names:
            raise InputError(
                f"{path}: field '{name}' is missing; it has {', '.join(names) or 'nothing'}"
            )
    wanted = names if optional is None else [*required, *optional]
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: _array(file, name, path) for name in names if name in wanted}
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an .npz file ({error})") from error


def npz_names(path: Path) -> list[str]:
    """Names of the arrays in a file, without reading them.

    Raises:
        InputError: not an ``.npz`` file.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return [name.removesuffix(".npy") for name in file.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as an .npz file ({error})") from error


def _array(file: np.lib.npyio.NpzFile, name: str, path: Path) -> np.ndarray:
    try:
        return file[name]
    except ValueError as error:  # NumPy's refusal of pickles, or a damaged header
        raise InputError(f"{path}: field '{name}' cannot be read ({error})") from error

"""MATLAB level-5 files as arrays; errors name the file and the field."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from jaxbio.errors import InputError


def read_mat(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """Reads the variables of a ``.mat`` file (versions 4 to 7).

    Args:
        path: the file; with ``data`` only its name in messages.
        data: the file's bytes, if they came out of an archive.

    Raises:
        InputError: it cannot be read, or is a version 7.3 file.
    """
    try:
        # No code runs: MATLAB function handles and objects stay opaque arrays.
        return scipy.io.loadmat(io.BytesIO(data) if data is not None else str(path))
    except NotImplementedError:
        raise InputError(f"{path} is a MATLAB 7.3 file: save it again with -v7") from None
    except Exception as error:  # scipy raises whatever the damaged bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read as a MATLAB file ({reason})") from error


def require(variables: dict[str, Any], name: str, path: Path) -> np.ndarray:
    """A variable by name.

    Raises:
        InputError: it is missing.
    """
    if name not in variables:
        known = ", ".join(key for key in variables if not key.startswith("__")) or "nothing"
        raise InputError(f"{path}: field '{name}' is missing; it has {known}")
    return variables[name]


def struct_field(struct: np.ndarray, name: str, path: Path, variable: str) -> list[Any]:
    """One field of every element of a struct array, in MATLAB's row order.

    Raises:
        InputError: not a struct array, or without that field.
    """
    if struct.dtype.names is None or name not in struct.dtype.names:
        raise InputError(f"{path}: {variable} has no field '{name}': it is not the published file")
    return [element[name] for element in struct.ravel()]


def text(cell: Any) -> str:
    """The string inside MATLAB's nested arrays."""
    while isinstance(cell, np.ndarray):
        cell = cell.ravel()[0] if cell.size else ""
    return str(cell).strip()

"""NetCDF files as named arrays with named dimensions: NetCDF-4 (HDF5) and classic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from jaxbio.errors import InputError
from jaxbio.files import hdf5

# HDF5 marks a dimension without values of its own like this.
_NO_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"


@dataclass(frozen=True)
class Variable:
    """An array and what its axes are called."""

    dims: tuple[str, ...]
    values: np.ndarray


def read_netcdf(path: Path) -> dict[str, Variable]:
    """Reads all variables of the root group.

    Args:
        path: a NetCDF-4 or a classic NetCDF file.

    Returns:
        Per name, dimensions and values: numbers unpacked, missing ones NaN; texts as ``str`` arrays
        (character axes joined).

    Raises:
        InputError: the file cannot be read as NetCDF.
    """
    try:
        with path.open("rb") as file:
            is_hdf5 = file.read(len(hdf5.MAGIC)) == hdf5.MAGIC
        return _read_hdf5(path) if is_hdf5 else _read_classic(path)
    except InputError:
        raise
    except Exception as error:  # both readers raise whatever damaged bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read as a NetCDF file ({reason})") from error


def _read_hdf5(path: Path) -> dict[str, Variable]:
    variables = {}
    with hdf5.open_hdf5(path) as file:
        for name, dataset in file.items():
            if not hasattr(dataset, "dtype"):  # a group
                continue
            if np.bytes_(dataset.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):
                continue
            dims = _hdf5_dims(file, dataset, name)
            variables[name] = _joined(Variable(dims, hdf5.read_dataset(dataset)))
    return variables


def _hdf5_dims(file: Any, dataset: Any, name: str) -> tuple[str, ...]:
    """Names of the scales attached to a dataset's axes; a scale is its own axis."""
    attached = dataset.attrs.get("DIMENSION_LIST")
    if attached is None:
        return (name,) * dataset.ndim if dataset.ndim <= 1 else ("",) * dataset.ndim
    return tuple(
        file[references[0]].name.rsplit("/", 1)[-1] if len(references) else ""
        for references in attached
    )


def _read_classic(path: Path) -> dict[str, Variable]:
    with scipy.io.netcdf_file(path, "r", mmap=False) as file:
        return {
            name: _joined(
                Variable(
                    tuple(variable.dimensions),
                    hdf5.unpacked(np.array(variable[...]), vars(variable)["_attributes"]),
                )
            )
            for name, variable in file.variables.items()
        }


def _joined(variable: Variable) -> Variable:
    """Texts as ``str``, an axis of characters joined."""
    dims, values = variable.dims, variable.values
    if values.dtype.kind == "S":
        if values.dtype.itemsize == 1 and values.ndim > 1:
            values = np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0]
            dims = dims[:-1]
        values = np.char.decode(values, "utf-8")
    return Variable(dims, values)

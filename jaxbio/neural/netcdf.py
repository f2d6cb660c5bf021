"""NetCDF files as named arrays with named dimensions: NetCDF-4 (HDF5) and classic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from jaxbio.errors import InputError

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
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
        Per name, dimensions and values; texts as ``str`` arrays (character axes joined).

    Raises:
        InputError: the file cannot be read as NetCDF.
    """
    try:
        with path.open("rb") as file:
            is_hdf5 = file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
        return _read_hdf5(path) if is_hdf5 else _read_classic(path)
    except InputError:
        raise
    except Exception as error:  # both readers raise whatever damaged bytes lead to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path} cannot be read as a NetCDF file ({reason})") from error


def _read_hdf5(path: Path) -> dict[str, Variable]:
    import h5py

    variables = {}
    with h5py.File(path, "r") as file:
        for name, dataset in file.items():
            if not isinstance(dataset, h5py.Dataset):
                continue
            if np.bytes_(dataset.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):
                continue
            dims = _hdf5_dims(file, dataset, name)
            text = h5py.check_string_dtype(dataset.dtype) is not None
            values = dataset.asstr()[()] if text and dataset.dtype.kind == "O" else dataset[()]
            fill = dataset.attrs.get("_FillValue")
            variables[name] = _decoded(Variable(dims, np.asarray(values)), fill)
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
            name: _decoded(
                Variable(tuple(variable.dimensions), np.array(variable[...])),
                getattr(variable, "_FillValue", None),
            )
            for name, variable in file.variables.items()
        }


def _decoded(variable: Variable, fill: Any) -> Variable:
    """Native byte order, fill values as NaN, characters joined to strings."""
    dims, values = variable.dims, variable.values
    if values.dtype.kind == "S":
        if values.dtype.itemsize == 1 and values.ndim > 1:  # classic: an axis of characters
            values = np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0]
            dims = dims[:-1]
        values = np.char.decode(values, "utf-8")
    elif values.dtype.kind == "O":
        values = values.astype(str)
    elif values.dtype.kind == "f":
        values = values.astype(values.dtype.newbyteorder("="))
        if fill is not None and not np.isnan(fill).all():
            values = np.where(values == np.asarray(fill).ravel()[0], np.nan, values)
    else:
        values = values.astype(values.dtype.newbyteorder("="))
    return Variable(dims, values)

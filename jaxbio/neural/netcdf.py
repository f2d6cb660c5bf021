"""NetCDF files as named arrays with named dimensions: NetCDF-4 (HDF5) and classic."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from jaxbio.files import hdf5
from jaxbio.files.reading import check_regular, reading

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
    check_regular(path)
    with reading(path, "a NetCDF file"):
        with path.open("rb") as file:
            is_hdf5 = file.read(len(hdf5.MAGIC)) == hdf5.MAGIC
        return _read_hdf5(path) if is_hdf5 else _read_classic(path)


def _read_hdf5(path: Path) -> dict[str, Variable]:
    variables = {}
    with hdf5.open_hdf5(path) as file:
        for name, dataset in file.items():
            if not hasattr(dataset, "dtype") or not hdf5.is_plain(dataset):  # a group; compounds
                continue
            if np.bytes_(dataset.attrs.get("NAME", b"")).startswith(_NO_VARIABLE):
                continue
            dims = _hdf5_dims(file, dataset, name)
            default = _default_fill(dataset.dtype)
            fill = default if default is not None and dataset.fillvalue == default else None
            variables[name] = _joined(dims, hdf5.read_dataset(dataset, fill))
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
        variables = {}
        for name, variable in file.variables.items():
            values, attributes = np.array(variable[...]), vars(variable)["_attributes"]
            values = hdf5.unpacked(values, attributes, _default_fill(values.dtype))
            variables[name] = _joined(tuple(variable.dimensions), values)
        return variables


def _default_fill(dtype: np.dtype) -> float | None:
    """What the netCDF libraries leave where nothing was written."""
    if dtype.kind == "f":
        return float(np.float32(9.9692099683868690e36))
    fills = {2: -32767, 4: -2147483647, 8: -9223372036854775806}  # bytes have none
    return fills.get(dtype.itemsize) if dtype.kind == "i" else None


def _joined(dims: tuple[str, ...], values: np.ndarray) -> Variable:
    """Texts as ``str``, an axis of characters joined."""
    if values.dtype.kind == "S":
        if values.dtype.itemsize == 1 and values.ndim > 1:
            values = np.ascontiguousarray(values).view(f"S{values.shape[-1]}")[..., 0]
            dims = dims[:-1]
        values = np.char.decode(values, "utf-8")
    return Variable(dims, values)

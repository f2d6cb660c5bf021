"""HDF5 files that others made: the one place that opens them.

HDF5 can place the values of a data set in any other file of the machine (external storage, external
links, virtual data sets). Whoever hands over a file could so have the results show what he may not
read: such files are refused.
"""

import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.sizes import INFLATION, check_size

MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01"
_SCANNED = 2**28  # bytes of a file; beyond, looking for heaps would take longer than reading


def open_hdf5(path: str | Path | IO[bytes]) -> h5py.File:
    """Opens a file for reading.

    Raises:
        InputError: it takes values from other files.
        OSError: it cannot be read as HDF5; so do RuntimeError, KeyError and ValueError, here and
            when damaged parts are read.
    """
    _check_heaps(path)
    file = h5py.File(path, "r", locking=False)

    def elsewhere(name: str | bytes, link: Any) -> Any:
        try:
            name = name.decode(errors="replace") if isinstance(name, bytes) else name
            if isinstance(link, h5py.HardLink):
                entry = file[name]
                if not isinstance(entry, h5py.Dataset) or not (entry.is_virtual or entry.external):
                    return None
            return None if isinstance(link, h5py.SoftLink) else name
        except Exception as error:  # may not leave a function that HDF5 has called
            return error

    try:
        found = file.visititems_links(elsewhere)
        if isinstance(found, Exception):
            raise OSError(*(str(found).splitlines() or ["damaged"])[:1]) from found
        if found is not None:
            raise InputError(f"{path}: '{found}' takes its values from another file: refused")
    except BaseException:
        file.close()
        raise
    return file


def _check_heaps(path: Any) -> None:
    """Refuses collections of texts whose entries lead nowhere: the HDF5 library never returns."""
    if not isinstance(path, str | Path) or not 0 < os.path.getsize(path) <= _SCANNED:
        return
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        heap = data.find(_HEAP)
        while heap >= 0:
            end = heap + int.from_bytes(data[heap + 8 : heap + 16], "little")
            place = heap + 16
            while place + 16 <= min(end, len(data)):
                index = int.from_bytes(data[place : place + 2], "little")
                size = int.from_bytes(data[place + 8 : place + 16], "little")
                if index == 0 and size < 16:  # free space, its own 16 bytes included
                    raise OSError("damaged heap")
                place += size if index == 0 else 16 + size + -size % 8
            heap = data.find(_HEAP, heap + 4)


def read_dataset(dataset: h5py.Dataset) -> np.ndarray:
    """All values: texts as ``str``, packed and missing ones as :func:`unpacked` says.

    Raises:
        InputError: the data set declares more than the file or the machine has.
    """
    check_dataset(dataset)
    if h5py.check_string_dtype(dataset.dtype) is not None and dataset.dtype.kind == "O":
        return np.asarray(dataset.asstr()[()]).astype(str)
    return unpacked(np.asarray(dataset[()]), dataset.attrs)


def check_dataset(dataset: h5py.Dataset) -> None:
    """Holds what a data set declares against the file and the memory.

    Raises:
        InputError: it declares more.
    """
    stored = dataset.id.get_storage_size()
    compressed = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() > 0
    declared = (dataset.size or 0) * dataset.dtype.itemsize
    name, path = dataset.name, dataset.file.filename
    check_size(path, f"'{name}'", declared, stored * INFLATION if compressed else stored)


def unpacked(values: np.ndarray, attributes: Mapping[str, Any]) -> np.ndarray:
    """Values as they were meant, after the conventions of netCDF.

    ``_FillValue`` and ``missing_value`` become NaN, then numbers are multiplied with
    ``scale_factor`` and ``add_offset`` added. What has none of these keeps its type.

    Args:
        values: raw, of any byte order.
        attributes: of the variable.
    """
    if values.dtype.kind not in "fiu":
        return values
    values = values.astype(values.dtype.newbyteorder("="))
    if _text(attributes.get("_Unsigned")) == "true":
        values = values.view(values.dtype.str.replace("i", "u"))
    missing = np.zeros(values.shape, bool)
    for name in ("_FillValue", "missing_value"):
        for value in np.ravel(attributes.get(name, ())):
            if np.asarray(value).dtype.kind in "fiu":
                missing |= values == np.asarray(value).astype(values.dtype)
    scale, offset = (np.ravel(attributes.get(n, ())) for n in ("scale_factor", "add_offset"))
    if scale.size or offset.size:
        values = values.astype(np.float64)
        values = values * (scale[0] if scale.size else 1) + (offset[0] if offset.size else 0)
    if missing.any():
        values = values if values.dtype.kind == "f" else values.astype(np.float64)
        values[missing] = np.nan
    return values


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

"""MATLAB files as arrays; errors name the file and the field."""

import io
import math
import struct
import zlib
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import scipy.io

from jaxbio.errors import InputError
from jaxbio.files import hdf5
from jaxbio.files.reading import check_regular, reading
from jaxbio.files.sizes import check_size, inflated

_HEADER = 128  # bytes of a version 5 file
_MATRIX, _COMPRESSED = 14, 15  # kinds of elements; the other ones are numbers and text
_CONTAINERS = (1, 2, 3)  # classes of matrices: cells, structs, objects
_WIDTHS = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}  # of version 4's numbers, bytes
_KINDS = {*range(1, 8), 9, *range(12, 19)}


def read_mat(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """Reads the variables of a ``.mat`` file (versions 4 to 7.3).

    Args:
        path: the file; with ``data`` only its name in messages.
        data: the file's bytes, if they came out of an archive.

    Returns:
        Numbers as arrays in MATLAB's order of axes, text as arrays of rows, cells as object arrays,
        structs as arrays with fields.

    Raises:
        InputError: it cannot be read, declares more than the file or the memory has, or takes
            values from other files.
    """
    if data is None:
        check_regular(path)
    with (
        reading(path, "a MATLAB file"),
        io.BytesIO(data) if data is not None else path.open("rb") as stream,
    ):
        begin = stream.read(1024)
        if hdf5.MAGIC in begin:  # 7.3, behind up to 512 bytes of MATLAB's own
            stream.seek(0)
            with hdf5.open_hdf5(stream if data is not None else path) as file:
                return _Reader73(file).read()
        (_check_version_4 if 0 in begin[:4] else _check_version_5)(path, stream)
        stream.seek(0)
        # No code runs: MATLAB function handles and objects stay opaque arrays.
        return scipy.io.loadmat(stream)


def _check_version_4(path: Path, stream: IO[bytes]) -> None:
    """Holds declared sizes against the file."""
    size, place = stream.seek(0, io.SEEK_END), 0
    stream.seek(0)
    order = "<" if int.from_bytes(stream.read(4), "little") < 5000 else ">"
    while place + 20 <= size:
        stream.seek(place)
        kind, rows, columns, imaginary, letters = struct.unpack(f"{order}5i", stream.read(20))
        width = _WIDTHS.get(kind // 10 % 10, 8)
        declared = rows * columns * width * (2 if imaginary and kind % 10 != 2 else 1)
        if min(rows, columns, letters) < 0:
            raise ValueError(f"a variable of {rows} x {columns}")
        check_size(path, "a variable", declared + letters, size - place - 20)
        if declared + letters > size - place - 20:
            raise ValueError("truncated")
        place += 20 + declared + letters


def _check_version_5(path: Path, stream: IO[bytes]) -> None:
    """Holds declared sizes against the file and the memory, and kinds against those there are.

    scipy looks kinds up in a table without asking how long it is.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(_HEADER - 2)
    order = {b"IM": "<", b"MI": ">"}.get(stream.read(2))
    place = _HEADER
    while order and place + 8 <= size:
        stream.seek(place)
        tag = stream.read(8)
        kind, length = struct.unpack(f"{order}II", tag)
        check_size(path, "a variable", length, size - place - 8)
        content = tag + stream.read(length)
        if kind == _COMPRESSED:
            inflate = zlib.decompressobj()
            tag = inflate.decompress(content[8:], 8)
            whole = struct.unpack(f"{order}II", tag)[1]
            check_size(path, "a variable", whole, inflated(length))
            content = tag + inflate.decompress(inflate.unconsumed_tail, whole)
        _check_kinds(memoryview(content), order)
        place += 8 + length


def _check_kinds(elements: memoryview, order: str) -> None:
    place = 0
    while place + 8 <= len(elements):
        kind, length = struct.unpack_from(f"{order}II", elements, place)
        inside = kind >> 16  # small elements have their length here and their data in the tag
        end = place + 8 + (0 if inside else length)
        if (kind & 0xFFFF) not in _KINDS or inside > 4 or end > len(elements):
            raise ValueError(f"an element of kind {kind & 0xFFFF} and {length} bytes")
        if kind == _MATRIX:
            _check_kinds(elements[place + 8 : end], order)
            _check_parts(elements[place + 8 : end], order)
        place = end + -end % 8 if not inside else end


def _check_parts(matrix: memoryview, order: str) -> None:
    """Cells and structs take room for every part, and every part has at least its tag here."""
    if len(matrix) < 32 or struct.unpack_from(f"{order}I", matrix, 8)[0] & 255 not in _CONTAINERS:
        return
    kind, length = struct.unpack_from(f"{order}II", matrix, 16)
    shape = struct.unpack_from(f"{order}{length // 4}i", matrix, 24) if kind >> 16 == 0 else ()
    if any(size < 0 for size in shape) or 8 * math.prod(shape) > len(matrix):
        raise ValueError(f"cells or structs of shape {shape} in {len(matrix)} bytes")


class _Reader73:
    """MATLAB 7.3: HDF5 with axes in reverse order, cells and structs as references."""

    def __init__(self, file: h5py.File):
        self._file = file
        self._known: dict[int, Any] = {}

    def read(self) -> dict[str, Any]:
        """All variables; names that begin with # are MATLAB's own."""
        return {name: self._value(e) for name, e in self._file.items() if not name.startswith("#")}

    def _value(self, entry: h5py.Group | h5py.Dataset) -> Any:
        """Each entry once, whatever refers to it; one that contains itself is damaged."""
        address = h5py.h5o.get_info(entry.id).addr
        if address not in self._known:
            self._known[address] = None
            self._known[address] = self._read(entry)
        elif self._known[address] is None:
            raise ValueError(f"'{entry.name}' contains itself")
        return self._known[address]

    def _read(self, entry: h5py.Group | h5py.Dataset) -> Any:
        kind = entry.attrs.get("MATLAB_class", b"")
        if isinstance(entry, h5py.Group):
            hdf5.check_group(entry)
            return self._struct({name: entry[name] for name in entry})
        if entry.attrs.get("MATLAB_empty"):
            return np.empty((0, 0))
        hdf5.check_dataset(entry)
        if h5py.check_ref_dtype(entry.dtype):
            return self._cells(entry)
        values = hdf5.read_dataset(entry).T
        if kind == b"char":
            return np.array(["".join(map(chr, row)) for row in np.atleast_2d(values)])
        return values

    def _cells(self, entry: h5py.Dataset) -> np.ndarray:
        references = entry[()].T
        cells = np.empty(references.shape, object)
        for place, reference in np.ndenumerate(references):
            cells[place] = self._value(self._file[reference])
        return cells

    def _struct(self, fields: dict[str, Any]) -> np.ndarray:
        """A struct array has references as fields, a single struct the values themselves."""
        several = all(
            isinstance(e, h5py.Dataset)
            and h5py.check_ref_dtype(e.dtype)
            and "MATLAB_class" not in e.attrs
            for e in fields.values()
        )
        values = {n: self._cells(e) if several else self._value(e) for n, e in fields.items()}
        shape = next(iter(values.values())).shape if several and values else (1, 1)
        array = np.empty(shape, [(name, object) for name in values])
        for name, value in values.items():
            for place in np.ndindex(shape):
                array[name][place] = value[place] if several else value
        return array


def require(variables: dict[str, Any], name: str, path: Path) -> np.ndarray:
    """A variable by name.

    Raises:
        InputError: it is missing.
    """
    if name not in variables:
        known = ", ".join(key for key in variables if not key.startswith("__")) or "nothing"
        raise InputError(f"{path}: field '{name}' is missing; it has {known}")
    return variables[name]


def struct_field(elements: np.ndarray, name: str, path: Path, variable: str) -> list[Any]:
    """One field of every element of a struct array, in MATLAB's row order.

    Raises:
        InputError: not a struct array, or without that field.
    """
    if elements.dtype.names is None or name not in elements.dtype.names:
        raise InputError(f"{path}: {variable} has no field '{name}': it is not the published file")
    return [element[name] for element in elements.ravel()]


def text(cell: Any) -> str:
    """The string inside MATLAB's nested arrays."""
    while isinstance(cell, np.ndarray):
        cell = cell.ravel()[0] if cell.size else ""
    return str(cell).strip()

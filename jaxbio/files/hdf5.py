"""HDF5 files that others made: the one place that opens them.

HDF5 can place the values of a data set in any other file of the machine (external storage, external
links, virtual data sets). Whoever hands over a file could so have the results show what he may not
read: such files are refused.
"""

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from jaxbio.errors import InputError
from jaxbio.files.reading import check_regular
from jaxbio.files.sizes import check_size, inflated, text_array

MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01"
_DEEPEST = 50  # groups within groups: HDF5 takes ever longer to name what lies in them
_TEXTS_AT_ONCE = 2**27  # bytes that a part of the texts may take
_SCANNED = 2**28  # bytes of a file; beyond, looking for heaps would take longer than reading


def open_hdf5(path: str | Path | IO[bytes]) -> h5py.File:
    """Opens a file for reading.

    Raises:
        InputError: it takes values from other files.
        OSError: it cannot be read as HDF5; so do RuntimeError, KeyError and ValueError, here and
            when damaged parts are read.
    """
    if isinstance(path, str | Path):
        check_regular(path)
    _check_heaps(path)
    file = h5py.File(path, "r", locking=False)
    try:
        for _ in groups(file):
            pass
    except BaseException:
        file.close()
        raise
    return file


def groups(file: h5py.File) -> Iterator[h5py.Group]:
    """All groups that a file's hard links lead to, each once, checked.

    Raises:
        InputError: an entry takes its values from another file, or groups nest too deep.
    """
    todo, known = [(file["/"], 0)], set()
    while todo:
        group, depth = todo.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in known:
            continue
        known.add(address)
        if depth > _DEEPEST:
            raise InputError(f"{file.filename}: groups nest deeper than {_DEEPEST}: it is damaged")
        todo += [(inner, depth + 1) for inner in check_group(group)]
        yield group


def check_group(group: h5py.Group) -> list[h5py.Group]:
    """The groups in a group.

    Raises:
        InputError: an entry takes its values from another file.
    """
    inner = []
    for name in group:
        link = group.get(name, getlink=True)
        if isinstance(link, h5py.SoftLink):  # to another path of this file
            continue
        if not isinstance(link, h5py.HardLink):
            raise _elsewhere(group, name)
        entry = group[name]
        if isinstance(entry, h5py.Group):
            inner.append(entry)
        elif isinstance(entry, h5py.Dataset) and (entry.is_virtual or entry.external):
            raise _elsewhere(group, name)
    return inner


def _elsewhere(group: h5py.Group, name: str) -> InputError:
    where = f"{group.name}/{name}".strip("/").encode(errors="backslashreplace").decode()
    return InputError(
        f"{group.file.filename}: '{where}' takes its values from another file: refused"
    )


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


def read_dataset(dataset: h5py.Dataset, fill: float | None = None) -> np.ndarray:
    """All values: texts as ``str``, packed and missing ones as :func:`unpacked` says.

    Raises:
        InputError: the data set declares more than the file or the machine has, or holds something
            else.
    """
    check_dataset(dataset)
    if not is_plain(dataset):
        raise InputError(
            f"{dataset.file.filename}: '{dataset.name}' holds {dataset.dtype}: must be numbers or "
            "text"
        )
    if dataset.dtype.kind == "O":
        return _texts(dataset)
    return unpacked(np.asarray(dataset[()]), dataset.attrs, fill)


def is_plain(dataset: h5py.Dataset) -> bool:
    """Whether a data set holds numbers or texts: no lists, references, compounds or nothing."""
    kind = dataset.dtype.kind
    text = h5py.check_string_dtype(dataset.dtype) is not None
    return dataset.shape is not None and (text or kind in "biufcS")


def _texts(dataset: h5py.Dataset) -> np.ndarray:
    """Texts of any length; a part at a time, since all may be the same long one in the file."""
    size, path, what = dataset.file.id.get_filesize(), dataset.file.filename, f"'{dataset.name}'"
    if not dataset.ndim:
        return np.array(dataset.asstr()[()])
    step = max(1, _TEXTS_AT_ONCE // max(1, size))
    found: list[str] = []
    length = 0
    for start in range(0, len(dataset), step):
        part = [str(text) for text in np.ravel(dataset.asstr()[start : start + step])]
        length += sum(map(len, part))
        check_size(path, what, 4 * length, inflated(size))
        found += part
    return text_array(path, what, found, size).reshape(dataset.shape)


def check_dataset(dataset: h5py.Dataset) -> None:
    """Holds what a data set declares against the file and the memory.

    Raises:
        InputError: it declares more, or takes its values from another file.
    """
    if dataset.is_virtual or dataset.external:  # where no link leads, but a reference
        raise _elsewhere(dataset.parent, dataset.name or "?")
    stored = dataset.id.get_storage_size()
    compressed = dataset.chunks is not None and dataset.id.get_create_plist().get_nfilters() > 0
    declared = (dataset.size or 0) * dataset.dtype.itemsize
    name, path = dataset.name, dataset.file.filename
    check_size(path, f"'{name}'", declared, inflated(stored) if compressed else stored)


def unpacked(
    values: np.ndarray, attributes: Mapping[str, Any], fill: float | None = None
) -> np.ndarray:
    """Values as they were meant, after the conventions of netCDF.

    ``_FillValue`` and ``missing_value``, and what lies outside ``valid_range``, ``valid_min`` and
    ``valid_max``, become NaN; then numbers are multiplied with ``scale_factor`` and ``add_offset``
    added. What has none of these keeps its type.

    Args:
        values: raw, of any byte order.
        attributes: of the variable.
        fill: what stands for a missing value where no ``_FillValue`` says it.

    Raises:
        InputError: an attribute is no number.

    Reference:
        NetCDF User's Guide, Appendix A, "Attribute Conventions".
    """
    if values.dtype.kind not in "fiu":
        return values
    values = values.astype(values.dtype.newbyteorder("="))
    sign = {"true": "u", "false": "i"}.get(_text(attributes.get("_Unsigned")).lower())
    if sign and values.dtype.kind in "iu":
        values = values.view(f"{sign}{values.dtype.itemsize}")
    scale, offset = (_numbers(attributes, name) for name in ("scale_factor", "add_offset"))
    if len(scale) > 1 or len(offset) > 1:
        raise InputError("several values of scale_factor or add_offset: one is read")
    packed, meant = len(scale) + len(offset) > 0, values
    if packed:
        meant = values * np.float64(scale[0] if len(scale) else 1)
        meant = meant + np.float64(offset[0] if len(offset) else 0)
    markers = [*_numbers(attributes, "_FillValue"), *_numbers(attributes, "missing_value")]
    if fill is not None and "_FillValue" not in attributes:
        markers.append(np.asarray(fill))
    missing = np.zeros(values.shape, bool)
    for marker in markers:
        missing |= values == _like(marker, values)
    lows, highs = _numbers(attributes, "valid_min"), _numbers(attributes, "valid_max")
    limits = _numbers(attributes, "valid_range")
    if len(limits) == 2:
        lows, highs = [*lows, limits[0]], [*highs, limits[1]]
    for limit, beyond in [*((x, np.less) for x in lows), *((x, np.greater) for x in highs)]:
        # Of a wider type than the packed values they speak of the unpacked ones.
        unpacked_too = packed and limit.dtype.kind == "f" and values.dtype.kind != "f"
        raw = meant if unpacked_too else values
        missing |= beyond(raw, _like(limit, raw))
    if missing.any():
        meant = meant.astype(np.float64) if meant.dtype.kind != "f" else meant.copy()
        meant[missing] = np.nan
    return meant


def _numbers(attributes: Mapping[str, Any], name: str) -> list[np.ndarray]:
    """The numbers of an attribute, each with its type; none where there is no such attribute."""
    found = np.ravel(attributes.get(name, ()))
    if found.size and found.dtype.kind not in "fiu":
        try:
            found = np.array([float(_text(value)) for value in found])
        except ValueError:
            raise InputError(f"attribute {name}={_text(found[0])[:40]!r} is no number") from None
    return [np.asarray(value) for value in found]


def _like(number: np.ndarray, values: np.ndarray) -> Any:
    """A number to compare values with: rounded as they are, with the sign that they have."""
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return number.astype(values.dtype)
    same = number.dtype.kind in "iu" and number.dtype.itemsize == values.dtype.itemsize
    native = number.astype(number.dtype.newbyteorder("="))
    return native.view(values.dtype) if same else native.item()


def _text(value: Any) -> str:
    value = np.ravel(value)[0] if np.size(value) == 1 else value
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)

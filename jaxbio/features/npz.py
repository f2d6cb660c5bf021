"""The same content as an ``.npz`` archive: for programs that read nothing else."""

import zipfile
from pathlib import Path

import h5py
import numpy as np

from jaxbio.files import atomic, hdf5

_BLOCK_BYTES = 2**24
# Attributes of the HDF5 file that become text arrays.
TEXTS = ("format", "content_key", "description", "about", "layers")


def write_npz(source: Path, output: Path) -> None:
    """Copies a complete HDF5 file of features to an ``.npz``, some images at a time.

    Arrays: ``image``, ``skipped`` (file names), one per layer under its name with ``layer/`` before
    it, and ``format``, ``content_key``, ``description``, ``about``, ``layers`` (text). The
    output is replaced atomically.

    Raises:
        WriteError: the disk is full or fails; nothing is left behind.
    """
    with (
        atomic(output) as temporary,
        hdf5.open_hdf5(source) as file,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for name in TEXTS:
            _add(archive, name, np.array(file.attrs[name]))
        for name in ("image", "skipped"):
            _add(archive, name, np.array(file[name].asstr()[:], dtype=np.str_))
        for name, group in file["layers"].items():
            _add(archive, f"layer/{name}", group["features"])


def _add(archive: zipfile.ZipFile, name: str, array: np.ndarray | h5py.Dataset) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        header = {
            "descr": np.lib.format.dtype_to_descr(array.dtype),
            "fortran_order": False,
            "shape": array.shape,
        }
        np.lib.format.write_array_header_2_0(member, header)
        if isinstance(array, np.ndarray):
            member.write(array.tobytes())
            return
        rows = max(1, _BLOCK_BYTES * len(array) // max(1, array.nbytes))
        for start in range(0, len(array), rows):
            member.write(np.ascontiguousarray(array[start : start + rows]).data)

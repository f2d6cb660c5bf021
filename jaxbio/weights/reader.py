"""Read PyTorch checkpoint files without PyTorch and without running anything that they contain.

Three formats are PyTorch's own: the zip archive of PyTorch 1.6 and later, the pickle stream before
it, and the tar archive before 0.1.10. All are pickles (`files/pickles.py`) plus raw storages.
Safetensors files (`safetensors.py`) are read, too.
"""

import mmap
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from jaxbio.files.pickle_values import KNOWN, Values, plain
from jaxbio.files.pickles import (
    Budget,
    CorruptCheckpointError,
    ForbiddenContentError,
    Known,
    Record,
    Storage,
    Stream,
    need,
    shown,
    storage,
)
from jaxbio.weights.safetensors import is_safetensors, read_safetensors

__all__ = ["CorruptCheckpointError", "ForbiddenContentError", "Record", "read_torch"]

_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001


class _Storages:
    """The persistent ids of zip and legacy files: ("storage", type, key, location, size, view)."""

    def __init__(self) -> None:
        self.known: dict[Any, Storage] = {}

    def __call__(self, pid: Any) -> Any:
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # a class, beside the text of its program
        named = isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage"
        need(named, "a persistent id that names no storage")
        _, kind, key, _, size, *view = pid
        new = storage(key, kind, size)
        whole = self.known.setdefault(key, new)
        need(whole == new, f"storage {shown(key)} has two sizes")
        return whole.window(*view[0][1:]) if view and view[0] is not None else whole


def _read_zip(path: Path, known: Known) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        need(len(set(names)) == len(names), "two members of the zip archive have the same name")
        pickles = [name for name in names if name.split("/")[-1] == "data.pkl"]
        root = pickles[0].removesuffix("data.pkl") if len(pickles) == 1 else None
        if root is None or f"{root}constants.pkl" in names:
            raise CorruptCheckpointError(f"not a PyTorch checkpoint: {_zip_kind(names, root)}")
        size = path.stat().st_size
        need(
            sum(member.file_size for member in archive.infolist()) <= size,
            "its members are larger than the file: compressed or overlapping, which PyTorch never "
            "writes",
        )

        def read(name: str) -> bytes:
            need(root + name in archive.NameToInfo, f"its zip archive lacks {shown(root + name)}")
            member = archive.getinfo(root + name)
            need(member.compress_type == zipfile.ZIP_STORED, f"{shown(root + name)} is compressed")
            if member.CRC == 0:  # not recorded: torch.serialization.set_crc32_options(False)
                member.CRC = None  # type: ignore[assignment]
            return archive.read(member)

        order: Any = read("byteorder") if f"{root}byteorder" in names else b"little"
        need(order in (b"little", b"big"), f"unknown byte order {shown(order)}")
        budget = Budget(size)
        described = Stream(read("data.pkl"), _Storages(), budget, known).load()
        order = "<" if order == b"little" else ">"
        return plain(
            described, Values(lambda key: read(f"data/{key}"), budget, known is None, order)
        )


def _read_legacy(view: mmap.mmap, known: Known) -> Any:
    storages, budget = _Storages(), Budget(len(view))
    stream = Stream(view, storages, budget, known)
    try:
        magic = stream.load()
    except ForbiddenContentError:
        raise
    except Exception as error:
        raise CorruptCheckpointError(
            f"not a PyTorch checkpoint: it starts with {shown(view[:16])} ({shown(error)})"
        ) from error
    plain_pickle = "it looks like a plain Python pickle, not one of torch.save"
    need(type(magic) is int and magic == _MAGIC, f"not a PyTorch checkpoint: {plain_pickle}")
    need(stream.load() == _LEGACY_VERSION, "unknown version of the legacy format")
    stream.load()  # the writer's system: its raw data are little-endian everywhere
    described, keys = stream.load(), stream.load()
    raw: dict[Any, bytes] = {}
    for key in keys:
        whole: Any = storages.known.get(key) if type(key) in (str, int) else None
        need(whole and key not in raw, "its list of storages does not fit its objects")
        (size,) = stream.numbers(1)
        need(size == whole.size, f"storage {shown(key)} has {size} of {whole.size} elements")
        raw[key] = stream.take(size * whole.dtype.itemsize)
    return plain(described, Values(raw.__getitem__, budget, known is None))


def _read_tar(view: mmap.mmap, path: Path, known: Known) -> Any:
    with tarfile.open(path, "r:") as archive:
        spans = {m.name: (m.offset_data, m.offset_data + m.size) for m in archive if m.isreg()}
    if not {"storages", "tensors", "pickle"} <= spans.keys():
        raise CorruptCheckpointError(
            "not a PyTorch checkpoint: it looks like a tar archive of "
            f"{', '.join(shown(name) for name in list(spans)[:3])}; unpack it first"
        )
    objects: dict[int, Any] = {}
    raw: dict[int, bytes] = {}
    budget = Budget(len(view))

    def stream(member: str) -> Stream:
        content = view[slice(*spans[member])]
        return Stream(content, lambda key: objects[int(key)], budget, known)

    storages = stream("storages")
    for _ in range(storages.load()):
        key, _, kind = storages.load()
        need(type(key) is int and key not in objects, "two storages of one key, or without")
        objects[key] = storage(key, kind, *storages.numbers(1))
        raw[key] = storages.take(objects[key].size * objects[key].dtype.itemsize)
    for key, owner, start, numel in storages.load():
        objects[key] = objects[owner].window(start, numel)
    tensors = stream("tensors")
    for _ in range(tensors.load()):
        key, owner, kind = tensors.load()
        rank = tensors.numbers(1)[0] & 0xFFFFFFFF  # the upper half is not initialised
        *layout, offset = tensors.numbers(2 * rank + 1)
        objects[key] = kind()
        objects[key].state = (objects[owner], offset, tuple(layout[:rank]), tuple(layout[rank:]))
    return plain(stream("pickle").load(), Values(raw.__getitem__, budget, known is None))


# What else a file may be -----------------------------------------------------------------------


def _zip_kind(names: list[str], root: str | None) -> str:
    if root is not None:
        return (
            "it looks like a TorchScript archive (torch.jit.save); in PyTorch: "
            "torch.save(torch.jit.load(FILE).state_dict(), OUT)"
        )
    if names and all(name.endswith(".npy") for name in names):
        return "it looks like a NumPy .npz archive"
    return "it looks like a zip archive of other things (not exactly one data.pkl in it)"


def _kind(head: bytes) -> str | None:
    text = head.lstrip().lower()
    if head.startswith(b"version https://git-lfs"):
        return "it looks like a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "it looks like a web page, so the download failed; download the file again"
    for signature, name in {
        b"\x89HDF": "an HDF5 (Keras) file",
        b"\x93NUMPY": "a NumPy .npy file",
        b"\x1f\x8b": "a gzip file; unpack it first",
        b"BZh": "a bzip2 file; unpack it first",
        b"\xfd7zXZ": "an xz file; unpack it first",
        b"GGUF": "a GGUF file",
        b"{": "a JSON text",
    }.items():
        if head.startswith(signature):
            return f"it looks like {name}"
    return None


def read_torch(path: str | os.PathLike, *, unknown: bool = False) -> Any:
    """Read what `torch.save` or safetensors wrote, as plain Python containers and numpy arrays.

    Nothing in the file is executed or imported. Tensors of one storage share memory, as they did
    in PyTorch; arrays are read-only. Float16 stays float16, bfloat16 becomes float32.
    Parameters are arrays, an `OrderedDict` or `argparse.Namespace` is a dict, a numpy scalar is a
    number, a device or dtype is a string ("cuda:0", "torch.float32").

    Args:
        path: a `.pth`, `.pt`, `.pth.tar`... file of any PyTorch version, or `.safetensors`.
        unknown: whether objects of other classes are read, as a `Record` each that tells its class
            by name and what it is made of. By default they are an error.

    Returns:
        What was saved: for a checkpoint a (nested) dict of arrays, numbers, strings, None.

    Raises:
        FileNotFoundError: there is no such file.
        ForbiddenContentError: the file asks for objects other than tensors and plain containers,
            as a whole pickled model does; the message names the object.
        CorruptCheckpointError: the file is truncated, damaged, inconsistent or something else;
            the message says what it looks like.

    Example:
        >>> read_torch("cornet_s-1d3f7974.pth")["state_dict"].keys()  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        kind = "is a directory" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"{path}: {kind}; give the path of a PyTorch checkpoint file")
    with path.open("rb") as file:
        try:
            return _read(path, file, None if unknown else KNOWN)
        except (CorruptCheckpointError, ForbiddenContentError) as error:
            raise type(error)(f"{path}: {error}") from None
        except Exception as error:  # what damage makes zipfile, tarfile, pickle... raise has no end
            raise CorruptCheckpointError(
                f"{path}: truncated or damaged ({shown(error)})"
            ) from error


def _read(path: Path, file: BinaryIO, known: Known) -> Any:
    head = file.read(2048)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_zip(path, known)
    kind = _kind(head) if head else "it is empty"
    if kind:
        raise CorruptCheckpointError(f"not a PyTorch checkpoint: {kind}")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        if is_safetensors(head):
            return read_safetensors(view)
        if head[257:262] == b"ustar":
            return _read_tar(view, path, known)
        return _read_legacy(view, known)

"""Read PyTorch checkpoint files without PyTorch and without running anything that they contain.

Three formats exist: the zip archive of PyTorch 1.6 and later, the pickle stream before it, and the
tar archive before 0.1.10. All three are a pickle that describes tensors plus raw storages.
`PickleMachine` runs the pickle with the table of names below; the tensors become numpy arrays only
afterwards, each checked against the storage that it points into.
"""

import mmap
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from jaxbio.weights.pickle_machine import (
    CorruptCheckpointError,
    ForbiddenContentError,
    Global,
    PickleMachine,
    shown,
)
from jaxbio.weights.torch_arrays import Storages, plain
from jaxbio.weights.torch_objects import (
    CONSTRUCTORS,
    STORAGE_TYPES,
    References,
    Storage,
    Tensor,
    is_count,
    tensor_at,
    window,
)

__all__ = ["CorruptCheckpointError", "ForbiddenContentError", "read_torch"]

_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(set(names)) != len(names):
            raise CorruptCheckpointError("two members of the zip archive have the same name")
        if sum(member.file_size for member in members) > path.stat().st_size:
            raise CorruptCheckpointError(
                "its members are larger than the file: compressed or overlapping, which PyTorch "
                "never writes"
            )
        pickles = [name for name in names if name.split("/")[-1] == "data.pkl"]
        root = pickles[0].removesuffix("data.pkl") if len(pickles) == 1 else None
        if root is None or f"{root}constants.pkl" in names:
            raise CorruptCheckpointError(f"not a PyTorch checkpoint: {_zip_kind(names, root)}")

        def read(name: str) -> bytes:
            if root + name not in archive.NameToInfo:
                raise CorruptCheckpointError(f"its zip archive lacks {shown(root + name)}")
            if archive.getinfo(root + name).compress_type != zipfile.ZIP_STORED:
                raise CorruptCheckpointError(f"{shown(root + name)} is compressed")
            return archive.read(root + name)

        order = read("byteorder") if f"{root}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise CorruptCheckpointError(f"unknown byte order {shown(order)}")
        references = References()
        described = PickleMachine(read("data.pkl"), CONSTRUCTORS, references).load()

        def storage(key: Any) -> bytes:
            return _of_size(read(f"data/{key}"), references.roots[key].nbytes, key)

        return plain(described, Storages(storage, big_endian=order == b"big").resolve)


def _of_size(raw: bytes, size: int, key: Any) -> bytes:
    if len(raw) != size:
        raise CorruptCheckpointError(
            f"storage {shown(key)} should have {size} bytes and has {len(raw)}"
        )
    return raw


def _read_legacy(view: mmap.mmap) -> Any:
    references = References()
    machine = PickleMachine(view, CONSTRUCTORS, references)
    try:
        magic = machine.load()
    except CorruptCheckpointError as error:
        raise CorruptCheckpointError(
            f"not a PyTorch checkpoint: it starts with {shown(view[:16])} ({error})"
        ) from None
    if type(magic) is not int or magic != _MAGIC:
        raise CorruptCheckpointError(
            "not a PyTorch checkpoint: it looks like a plain Python pickle, not one of torch.save"
        )
    version = machine.load()
    if type(version) is not int or version != _LEGACY_PROTOCOL:
        raise CorruptCheckpointError("unknown version of the legacy format")
    machine.load()  # the writer's system: its raw data are little-endian everywhere
    described = machine.load()
    keys = machine.load()
    if not isinstance(keys, list):
        raise CorruptCheckpointError("no list of storages follows the objects")
    raw: dict[Any, bytes] = {}
    for key in keys:
        root = references.roots.get(key) if type(key) in (str, int) else None
        if root is None or key in raw:
            raise CorruptCheckpointError("its list of storages does not fit its objects")
        numel = _int64(machine)
        if numel != root.numel:
            raise CorruptCheckpointError(
                f"storage {shown(key)} should have {root.numel} elements and has {numel}"
            )
        raw[key] = machine.take(root.nbytes)
    return plain(described, Storages(_lookup(raw)).resolve)


def _lookup(raw: dict[Any, bytes]) -> Callable[[Any], bytes]:
    def read(key: Any) -> bytes:
        if key not in raw:
            raise CorruptCheckpointError(f"storage {shown(key)} has no data")
        return raw[key]

    return read


def _read_tar(view: mmap.mmap, path: Path) -> Any:
    with tarfile.open(path, "r:") as archive:
        spans = {m.name: (m.offset_data, m.offset_data + m.size) for m in archive if m.isreg()}
    if not {"storages", "tensors", "pickle"} <= spans.keys():
        raise CorruptCheckpointError(
            "not a PyTorch checkpoint: it looks like a tar archive of "
            f"{', '.join(shown(name) for name in list(spans)[:3])}; unpack it first"
        )
    if any(stop > len(view) for _, stop in spans.values()):
        raise CorruptCheckpointError("truncated: a member of the tar archive is incomplete")
    objects: dict[int, Any] = {}

    def known(key: Any, kind: type) -> Any:
        number = int(key) if isinstance(key, (int, str)) else None
        if not isinstance(objects.get(number), kind):
            raise CorruptCheckpointError(f"it mentions {shown(key)}, which is not in it")
        return objects[number]

    def machine(member: str) -> PickleMachine:
        return PickleMachine(
            view, CONSTRUCTORS, lambda pid: known(pid, (Storage, Tensor)), *spans[member]
        )

    storages = machine("storages")
    raw: dict[Any, bytes] = {}
    for _ in range(_count(storages.load())):
        key, _, kind = _entry(storages.load())
        name = kind.name if isinstance(kind, Global) else None
        if name not in STORAGE_TYPES or key in objects:
            raise CorruptCheckpointError("a storage of unknown type, or two with one key")
        objects[key] = Storage(key, STORAGE_TYPES[name], _count(_int64(storages)))
        raw[key] = storages.take(objects[key].nbytes)
    views = storages.load()
    for entry in views if isinstance(views, list) else ():
        if not (isinstance(entry, tuple) and len(entry) == 4 and is_count(entry[0])):
            raise CorruptCheckpointError("a malformed view of a storage")
        objects[entry[0]] = window(known(entry[1], Storage), *entry[2:])

    tensors = machine("tensors")
    for _ in range(_count(tensors.load())):
        key, storage, _ = _entry(tensors.load())
        rank = struct.unpack("<i4x", tensors.take(8))[0]
        numbers = struct.unpack(f"<{2 * rank + 1}q", tensors.take(8 * (2 * max(rank, 0) + 1)))
        size, stride = numbers[:rank], numbers[rank:-1]
        objects[key] = tensor_at(known(storage, Storage), numbers[-1], size, stride)

    return plain(machine("pickle").load(), Storages(_lookup(raw)).resolve)


def _int64(machine: PickleMachine) -> int:
    return struct.unpack("<q", machine.take(8))[0]


def _count(value: Any) -> int:
    if not is_count(value):
        raise CorruptCheckpointError("a number of items that cannot be")
    return value


def _entry(value: Any) -> tuple[Any, Any, Any]:
    if not (isinstance(value, tuple) and len(value) == 3 and type(value[0]) is int):
        raise CorruptCheckpointError("a malformed entry of the tar archive")
    return value


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
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32:
        return "it looks like a safetensors file; in PyTorch: torch.save(load_file(FILE), OUT)"
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


# Everything a damaged container makes zipfile and tarfile raise.
_CONTAINER_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def read_torch(path: str | Path) -> Any:
    """Read what `torch.save` wrote, as plain Python containers and numpy arrays.

    Nothing in the file is executed or imported. Tensors of one storage share memory, as they did
    in PyTorch; arrays are read-only. Float16 stays float16, bfloat16 becomes float32.
    Parameters are arrays, an `OrderedDict` or `argparse.Namespace` is a dict, a numpy scalar is a
    number, a device or dtype is a string ("cuda:0", "torch.float32").

    Args:
        path: a `.pth`, `.pt`, `.pth.tar`... file of any PyTorch version.

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
            return _read(path, file)
        except (CorruptCheckpointError, ForbiddenContentError) as error:
            raise type(error)(f"{path}: {error}") from None
        except _CONTAINER_ERRORS as error:
            raise CorruptCheckpointError(f"{path}: truncated or damaged ({shown(error)})") from None


def _read(path: Path, file: BinaryIO) -> Any:
    head = file.read(2048)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _read_zip(path)
    kind = _kind(head) if head else "it is empty"
    if kind:
        raise CorruptCheckpointError(f"not a PyTorch checkpoint: {kind}")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return _read_tar(view, path) if head[257:262] == b"ustar" else _read_legacy(view)

"""From the described tensors of a checkpoint to numpy arrays, each checked against its storage."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxbio.weights.pickle_machine import CorruptCheckpointError, Global, shown
from jaxbio.weights.torch_objects import (
    DTYPES,
    NumpyArray,
    NumpyDtype,
    Storage,
    Tensor,
    is_count,
    tensor_at,
)

MAX_DEPTH = 100
MAX_OBJECTS = 5_000_000
# A tensor may repeat its storage (stride 0). Beyond this many elements it would be a trap for
# whoever copies it.
MAX_REPEATED_ELEMENTS = 2**26


class Storages:
    """The raw storages of one file, each read once and shared by all tensors in it."""

    def __init__(self, read: Callable[[Any], bytes], big_endian: bool = False):
        self._read = read
        self._order = ">" if big_endian else "<"
        self._raw: dict[Any, bytes] = {}
        self._arrays: dict[tuple[Any, str], np.ndarray] = {}

    def array(self, key: Any, dtype: str) -> np.ndarray:
        """Return a whole storage as a flat, read-only array in native byte order."""
        if (key, dtype) not in self._arrays:
            if key not in self._raw:
                self._raw[key] = self._read(key)
            raw, kind = self._raw[key], DTYPES[dtype]
            if len(raw) % kind.itemsize:
                raise CorruptCheckpointError(f"storage {shown(key)} ends within a {dtype} number")
            if dtype == "bool":  # any byte but 0 and 1 would be an invalid numpy bool
                values = np.frombuffer(raw, np.uint8) != 0
            elif dtype.startswith(("bfloat16", "float8")):  # numpy itself knows neither
                bits = np.frombuffer(raw, f"{self._order}u{kind.itemsize}")
                values = bits.astype(f"=u{kind.itemsize}").view(kind).astype(np.float32)
            else:
                values = np.frombuffer(raw, kind.newbyteorder(self._order)).astype(kind, copy=False)
            values.flags.writeable = False
            self._arrays[key, dtype] = values
        return self._arrays[key, dtype]

    def resolve(self, node: Any) -> Any:
        """Return the plain value of a leaf of the unpickled object."""
        if isinstance(node, Tensor):
            return self._tensor(node)
        if isinstance(node, Storage):
            return self._tensor(tensor_at(node, 0, (node.numel,), (1,)))
        if isinstance(node, NumpyArray):
            return node.array
        if isinstance(node, NumpyDtype):
            return str(node.dtype)
        return node.name if isinstance(node, Global) else node

    def _tensor(self, tensor: Tensor) -> np.ndarray:
        if tensor.layout is None:  # an empty tensor of PyTorch 0.1
            return np.zeros(0, np.float32)
        storage, offset, size, stride = tensor.layout
        if not isinstance(storage, Storage):
            raise CorruptCheckpointError("damaged pickle: a tensor without a storage")
        where = f"a tensor in storage {shown(storage.key)}"
        if not (isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)):
            raise CorruptCheckpointError(f"{where} has no size or stride")
        if len(size) > 64 or not all(is_count(n) for n in (offset, *size, *stride)):
            raise CorruptCheckpointError(f"{where} has a size, stride or offset that cannot be")
        dtype = storage.dtype if tensor.dtype is None else tensor.dtype
        if dtype not in DTYPES:
            raise CorruptCheckpointError(f"{where} has the unknown type {shown(dtype)}")
        values = self.array(storage.key, dtype)
        # The storage counts in elements of its own type, which need not be the tensor's.
        window = storage.nbytes // DTYPES[dtype].itemsize
        first = storage.start * storage.itemsize // DTYPES[dtype].itemsize + offset
        count = math.prod(size)
        if math.prod(max(n, 1) for n in size) >= 2**48:
            raise CorruptCheckpointError(f"{where} claims a size of {size}")
        if count == 0:
            return np.zeros(size, values.dtype)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if last >= window or first - offset + last >= values.size:
            raise CorruptCheckpointError(
                f"{where} of {window} elements reaches to element {last} "
                f"(size {size}, stride {stride}, offset {offset})"
            )
        if count > max(window, MAX_REPEATED_ELEMENTS):
            raise CorruptCheckpointError(
                f"{where} repeats {window} elements as {count:,}, which looks like a trap"
            )
        step = values.itemsize
        strides = tuple(step * n for n in stride)
        array = np.ndarray(size, values.dtype, buffer=values, offset=first * step, strides=strides)
        if tensor.flags.get("conj"):
            array = np.conj(array)
        return -array if tensor.flags.get("neg") else array


def _children(node: Any) -> list[Any] | None:
    if isinstance(node, dict):
        return list(node.values())
    return list(node) if isinstance(node, (list, tuple, set, frozenset)) else None


def plain(root: Any, resolve: Callable[[Any], Any]) -> Any:
    """Rebuild `root` from plain containers and resolved leaves, each shared object once.

    A loop, since the nesting is the file's choice. An object that contains itself, nests too deep,
    or would unfold into too many parts is refused: it would trap any code that walks through it.
    """
    done: dict[int, Any] = {}
    depth: dict[int, int] = {}
    parts: dict[int, int] = {}
    opened: set[int] = set()
    todo = [root]
    while todo:
        node = todo[-1]
        key = id(node)  # stable: `root` keeps every node alive
        if key in done:
            todo.pop()
            continue
        children = _children(node)
        if children is None:
            done[key], depth[key], parts[key] = resolve(node), 0, 1
            continue
        if key not in opened:
            opened.add(key)
            missing = [child for child in children if id(child) not in done]
            if any(id(child) in opened for child in missing):
                raise CorruptCheckpointError("an object in it contains itself")
            todo.extend(missing)
            continue
        depth[key] = 1 + max((depth[id(child)] for child in children), default=0)
        parts[key] = 1 + sum(parts[id(child)] for child in children)
        if depth[key] > MAX_DEPTH or parts[key] > MAX_OBJECTS:
            raise CorruptCheckpointError(
                f"its objects nest deeper than {MAX_DEPTH} levels or unfold into more than "
                f"{MAX_OBJECTS:,} parts"
            )
        values = [done[id(child)] for child in children]
        if isinstance(node, dict):
            done[key] = dict(zip(node, values, strict=True))
        else:
            done[key] = type(node)(values)
        todo.pop()
    return done[id(root)]

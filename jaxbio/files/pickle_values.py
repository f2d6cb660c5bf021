"""From the records of a pickle to values, by the table `_MAKERS`.

Each value is checked against the data that it points into.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np

from jaxbio.files.pickles import (
    Budget,
    ForbiddenContentError,
    Record,
    Storage,
    dtype_of,
    is_count,
    need,
    shown,
)

MAX_DEPTH = 200
MAX_PARTS = 5_000_000
# A tensor may repeat its storage (stride 0). Beyond this many elements it would be a trap for
# whoever copies it.
MAX_REPEATED_ELEMENTS = 2**26

_NUMPY_DTYPE = re.compile(r"[<>|=]?([biu]1|[iuf][248]|c8|c16)|bool|(u?int|float|complex)\d{1,3}")
_SCALARS = {str, int, float, bool, type(None), bytes}
_SIZED = (str, bytes, list, tuple, dict, set, frozenset)


class Values:
    """Makes the values of one file.

    Args:
        read: the raw bytes of a storage, whole.
        budget: what may be copied.
        unknown: whether records of unknown classes stay as they are.
        order: byte order of the storages, "<" or ">".
    """

    def __init__(self, read: Callable, budget: Budget, unknown: bool, order: str = "<"):
        self.read, self.budget, self.unknown, self.order = read, budget, unknown, order
        self.storages: dict[Any, np.ndarray] = {}

    def stays(self, node: Any) -> bool:
        """Return whether a record remains one."""
        if not isinstance(node, Record) or _MAKERS.get(node.name):
            return False
        if not self.unknown and node.name not in _MAKERS:
            raise ForbiddenContentError(
                f"refused, because it calls {shown(node.name)}, which is only a name here"
            )
        return True

    def leaf(self, node: Any) -> Any:
        """Return the value of what has no parts."""
        if isinstance(node, Storage):
            return self.stored(node)
        if isinstance(node, type):
            return cast(Any, node).name
        return bytes(node) if isinstance(node, bytearray) else node

    def made(self, node: Any, children: list[Any]) -> Any:
        """Return the value of a list, tuple or record, given those of its children."""
        if not isinstance(node, Record):
            return type(node)(children)
        sized = [child for child in children[: len(node.args) + 1] if isinstance(child, _SIZED)]
        self.budget.spend(8 * sum(map(len, sized)))
        return _MAKERS[node.name](self, _filled(object.__new__(Record), node, children))

    def stored(self, node: Storage) -> np.ndarray:
        """Return a storage as a flat array."""
        if node.key not in self.storages:
            raw, size = self.read(node.key), node.size * node.dtype.itemsize
            need(len(raw) == size, f"storage {shown(node.key)} has {len(raw)} of {size} bytes")
            self.storages[node.key] = numbers(raw, node.dtype, self.order)
        return self.storages[node.key][node.start : node.start + node.numel]

    def tensor(self, flat: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> np.ndarray:
        """Return a view of a storage; offset and strides count elements."""
        need(isinstance(flat, np.ndarray) and flat.ndim == 1, "a tensor without a storage")
        sized = isinstance(size, tuple) and isinstance(stride, tuple) and len(size) == len(stride)
        possible = sized and len(size) <= 64 and is_count(offset, *size, *stride)
        need(possible, "a tensor with a size, stride or offset that cannot be")
        count = math.prod(size)
        need(math.prod(max(n, 1) for n in size) < 2**48, f"a tensor claims a size of {size}")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        where = f"element {last} (size {size}, stride {stride}, offset {offset})"
        need(count == 0 or last < flat.size, f"a tensor in {flat.size} elements reaches to {where}")
        trap = count > max(flat.size, MAX_REPEATED_ELEMENTS)
        need(not trap, f"a tensor repeats {flat.size} elements as {count:,}, which is a trap")
        if count == 0:
            return np.zeros(size, flat.dtype)
        strides = tuple(flat.itemsize * n for n in stride)
        array = np.ndarray(size, flat.dtype, flat, offset * flat.itemsize, strides)
        flags = rest[2] if len(rest) > 2 and isinstance(rest[2], dict) else {}
        if flags.get("conj") or flags.get("neg"):
            self.budget.spend(array.nbytes)
            array = np.conj(array) if flags.get("conj") else array
            array = -array if flags.get("neg") else array
        return array

    def tensor_v3(self, flat: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> np.ndarray:
        """Return a tensor of another type than its storage."""
        self.budget.spend(flat.nbytes)
        values = numbers(flat.view(np.uint8).data, dtype_of(rest[2]), self.order)
        return self.tensor(values, offset, size, stride, *rest[:2], *rest[3:])


def numbers(raw: Any, dtype: np.dtype, order: Any) -> np.ndarray:
    """Return raw data as a flat, read-only array of a type that numpy itself knows."""
    if dtype.kind == "b":  # any byte but 0 and 1 would be an invalid numpy bool
        values = np.frombuffer(raw, np.uint8) != 0
    elif dtype.kind == "V":
        bits = np.frombuffer(raw, f"{order}u{dtype.itemsize}")
        values = bits.astype(f"=u{dtype.itemsize}").view(dtype).astype(np.float32)
    else:
        values = np.frombuffer(raw, dtype.newbyteorder(order))
        values = values.astype(dtype.newbyteorder("="), copy=False)
    values.flags.writeable = False
    return values


def _numpy_dtype(code: Any, order: Any = "|") -> str:
    if not (isinstance(code, str) and _NUMPY_DTYPE.fullmatch(code)):
        raise ForbiddenContentError(
            f"refused, because it asks for numpy.dtype({shown(code)}); only plain numbers are read"
        )
    return str(np.dtype(code) if order == "|" else np.dtype(code).newbyteorder(order))


def _numpy_array(shape: Any, dtype: Any, raw: Any, fortran: Any = False) -> np.ndarray:
    kind = np.dtype(_numpy_dtype(dtype))
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw  # text: written by Python 2
    flat = numbers(raw, kind, "=" if kind.isnative else kind.byteorder)
    fits = isinstance(shape, tuple) and len(shape) <= 64 and is_count(*shape)
    need(fits and math.prod(shape) == flat.size, "a numpy array's shape does not fit its data")
    return flat.reshape(shape, order="F" if fortran else "C")


def _key(key: Any) -> Any:
    """Return `key` when it can be a dict key: a scalar or a flat tuple of scalars."""
    flat = key if type(key) is tuple else (key,)
    # Numbers of many digits can be chosen to share one hash, and then a dict takes quadratic time.
    fits = len(flat) <= 16 and all(
        isinstance(item, (str, float, bytes, type(None)))
        or (isinstance(item, int) and abs(item) < 2**63)
        for item in flat
    )
    need(fits, f"damaged pickle: a {type(key).__name__} serves as a key")
    return key


def _dict(pairs: Iterable[Any]) -> dict[Any, Any]:
    return {_key(key): value for key, value in pairs}


def _pairs(items: list[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(items[::2], items[1::2], strict=True)


def _array(value: Any, *_: Any) -> np.ndarray:
    need(isinstance(value, np.ndarray), "damaged pickle: a parameter without a tensor")
    return value


def _subclass(values: Values, function: Any, kind: Any, args: Any, state: Any = None) -> Any:
    # torch.Tensor and Parameter with Python attributes; the attributes are dropped.
    need(str(function).startswith("torch._utils._rebuild"), "a tensor rebuilt by something else")
    return _MAKERS[function](values, object.__new__(Record).fill(args, None, []))


def _namespace(record: Record) -> dict[Any, Any]:
    need(isinstance(record.state, (dict, type(None))), "an argparse.Namespace without a dict")
    return record.state or {}


def _bytes(content: str | bytes = b"", encoding: str = "latin1") -> bytes:
    need(encoding in ("latin1", "latin-1"), "damaged pickle: bytes in an unknown encoding")
    return content.encode("latin-1") if isinstance(content, str) else bytes(memoryview(content))


_EMPTY = np.zeros(0, np.float32)
# What a pickle may call, and how a value is made of it. None: it stays a record, such as a tensor
# that no array can hold; those beside it can be read.
_MAKERS: dict[str, Any] = {
    "torch._utils._rebuild_tensor": lambda v, r: v.tensor(*r.args),
    "torch._utils._rebuild_tensor_v2": lambda v, r: v.tensor(*r.args),
    "torch._utils._rebuild_tensor_v3": lambda v, r: v.tensor_v3(*r.args),
    "torch._utils._rebuild_parameter": lambda v, r: _array(*r.args),
    "torch._utils._rebuild_parameter_with_state": lambda v, r: _array(*r.args),
    "torch.nn.parameter.Parameter": lambda v, r: _array(*r.args),
    "torch._tensor._rebuild_from_type_v2": lambda v, r: _subclass(v, *r.args),
    "torch.Size": lambda v, r: tuple(*r.args),
    "torch.device": lambda v, r: ":".join([r.args[0], *(f"{index:d}" for index in r.args[1:])]),
    "jaxbio.dict": lambda v, r: _dict(_pairs([*r.args, *r.items])),
    "jaxbio.set": lambda v, r: {_key(item) for item in r.items},
    "jaxbio.frozenset": lambda v, r: frozenset(_key(item) for item in r.args),
    "builtins.set": lambda v, r: {_key(item) for items in r.args for item in items},
    "builtins.frozenset": lambda v, r: frozenset(_key(item) for items in r.args for item in items),
    "builtins.complex": lambda v, r: complex(*r.args),
    "builtins.bytes": lambda v, r: _bytes(*r.args),
    "builtins.bytearray": lambda v, r: _bytes(*r.args),
    "_codecs.encode": lambda v, r: _bytes(*r.args),
    "collections.OrderedDict": lambda v, r: _dict([*(r.args or ((),))[0], *_pairs(r.items)]),
    "collections.Counter": lambda v, r: _dict(r.args[0].items()),
    "argparse.Namespace": lambda v, r: _namespace(r),
    "numpy.dtype": lambda v, r: _numpy_dtype(r.args[0], *(r.state or ("", "|"))[1:2]),
    "numpy.core.multiarray.scalar": lambda v, r: _numpy_array((1,), *r.args).item(),
    "numpy.core.multiarray._reconstruct": lambda v, r: _numpy_array(
        r.state[1], r.state[2], r.state[4], r.state[3]
    ),
    "numpy.core.numeric._frombuffer": lambda v, r: _numpy_array(
        r.args[2], r.args[1], r.args[0], r.args[3] == "F"
    ),
    **{
        f"pathlib.{kind}": lambda v, r: "/".join(r.args).replace("//", "/")
        for kind in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
    },
    # PyTorch 0.1 makes an empty tensor and sets its state.
    **{
        f"torch.{kind}Tensor": lambda v, r: v.tensor(*(r.state or (_EMPTY, 0, (0,), (1,))))
        for kind in ("Float", "Double", "Half", "Long", "Int", "Short", "Char", "Byte")
    },
    **{
        f"torch._utils._rebuild_{kind}": None
        for kind in ("sparse_tensor", "sparse_csr_tensor", "qtensor", "meta_tensor_no_storage")
    },
    "torch.serialization._get_layout": lambda v, r: r.args[0],
    "copyreg._reconstructor": None,
}


KNOWN = frozenset(_MAKERS)


def plain(root: Any, values: Values) -> Any:
    """Rebuild `root` from plain containers and the values of its records, each shared object once.

    A loop, since the nesting is the file's choice. A container that contains itself, nests too
    deep, or would unfold into too many parts is refused: it would trap whoever walks through it.
    Records that stay may be part of themselves, and count as one part: walks end at them.
    """
    done: dict[int, Any] = {}  # by id, which is stable: `root` keeps every node alive
    depth: dict[int, int] = {}
    parts: dict[int, int] = {}
    opened: set[int] = set()
    records: list[tuple[Record, Record]] = []

    def finished(children: Iterable[Any]) -> list[Any]:
        return [child if type(child) in _SCALARS else done[id(child)] for child in children]

    todo = [root]
    while todo:
        node, key = todo[-1], id(todo[-1])
        if key in done:
            todo.pop()
            continue
        children = _children(node)
        nested = [child for child in children or () if type(child) not in _SCALARS]
        if children is None:
            done[key], depth[key], parts[key] = values.leaf(node), 0, 1
        elif values.stays(node):
            done[key], depth[key], parts[key] = object.__new__(type(node)), 0, 1
            records.append((done[key], node))
            todo += nested
        elif key not in opened:
            opened.add(key)
            missing = [child for child in nested if id(child) not in done]
            need(not any(id(child) in opened for child in missing), "an object contains itself")
            todo += missing
        else:
            inner = [id(child) for child in nested]
            depth[key] = 1 + max((depth[child] for child in inner), default=0)
            parts[key] = 1 + len(children) - len(inner) + sum(parts[child] for child in inner)
            need(depth[key] <= MAX_DEPTH, f"its objects nest deeper than {MAX_DEPTH} levels")
            need(parts[key] <= MAX_PARTS, f"its objects unfold into more than {MAX_PARTS:,} parts")
            done[key] = values.made(node, finished(children))
    for record, node in records:
        _filled(record, node, finished(_children(node)))
    return done[id(root)]


def _children(node: Any) -> Any:
    if isinstance(node, Record):
        return [*node.args, node.state, *node.items]
    return node if isinstance(node, (list, tuple)) else None


def _filled(record: Record, node: Record, children: list[Any]) -> Record:
    count = len(node.args)
    return record.fill(tuple(children[:count]), children[count], children[count + 1 :])

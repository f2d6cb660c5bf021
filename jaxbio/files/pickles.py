"""The pickles of PyTorch files, read by Python's unpickler without anything that they name.

To the unpickler every name is a subclass of `Record`, which keeps what it is given. `plain` then
makes values of the records by the table `_MAKERS`, each checked against the data it points into.
"""

import io
import math
import pickle
import pickletools
import re
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

import ml_dtypes  # noqa: F401, numpy knows bfloat16 and float8 by it
import numpy as np

from jaxbio.errors import InputError

MAX_OPERATIONS = 2_000_000
MAX_DEPTH = 200
MAX_PARTS = 5_000_000
# A tensor may repeat its storage (stride 0). Beyond this many elements it would be a trap for
# whoever copies it.
MAX_REPEATED_ELEMENTS = 2**26

# PyTorch's other names of types: those of its storages ("FloatStorage") in lower case.
_ALIASES = {
    **{"half": "float16", "float": "float32", "double": "float64", "cfloat": "complex64"},
    **{"short": "int16", "int": "int32", "long": "int64", "char": "int8", "byte": "uint8"},
    **{"complexfloat": "complex64", "complexdouble": "complex128", "cdouble": "complex128"},
    **{"qint8": "int8", "quint8": "uint8", "qint32": "int32", "untyped": "uint8"},
}
_DTYPE = re.compile(
    r"bool|u?int(8|16|32|64)|b?float16|float(32|64)|complex(64|128)|float8_e(4m3fn|5m2)(uz)?"
)
_NUMPY_DTYPE = re.compile(r"[<>|=]?([biu]1|[iuf][248]|c8|c16)|bool|(u?int|float|complex)\d{1,3}")
_MENTIONED = re.compile(r"torch\.([a-z]\w*|\w+Storage|Tensor)|numpy\.ndarray|builtins\.object")
_MODULES = {  # by their other names
    **{"__builtin__": "builtins", "copy_reg": "copyreg", "pathlib._local": "pathlib"},
    **{"torch.cuda": "torch", "torch.storage": "torch"},
    **{f"numpy._core.{name}": f"numpy.core.{name}" for name in ("multiarray", "numeric")},
}


class CorruptCheckpointError(InputError):
    """The file is truncated, damaged, inconsistent, or no PyTorch checkpoint at all."""


class ForbiddenContentError(InputError):
    """The file asks for a Python object that reading tensors does not need."""


class Budget:
    """How many bytes a file may multiply of its own content."""

    def __init__(self, size: int):
        self.left = 16 * size + 2**20

    def spend(self, size: int) -> None:
        """Count a copy of `size` bytes."""
        self.left -= size
        need(self.left >= 0, "it multiplies its own content, which looks like a trap")


class Record:
    """An object of the file: what its class is called and what it was given; nothing was run.

    Attributes:
        name: the class or function, such as "torch.nn.modules.linear.Linear".
        args: the arguments that it was called with.
        state: what it was told to become, None without: for most objects their `__dict__`.
        items: what was added to it; of a dict keys and values in turn.
    """

    __slots__ = ("args", "items", "state")
    name = ""
    budget: Budget

    def __new__(cls, *args: Any) -> "Record":
        """Make a record; pickle protocols 0 and 1 name an object's class as an argument."""
        cls.budget.spend(8 * len(args))
        if cls.name == "copyreg._reconstructor" and args and isinstance(args[0], type):
            cls, args = args[0], ()
        return object.__new__(cls).fill(args, None, [])

    def fill(self, args: tuple[Any, ...], state: Any, items: list[Any]) -> "Record":
        """Set all attributes."""
        self.args, self.state, self.items = args, state, items
        return self

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # What the unpickler does to objects (opcodes BUILD, SETITEMS, APPENDS, ADDITEMS).

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items += (key, value)

    def append(self, value: Any) -> None:
        """Take an item."""
        self.items.append(value)

    add = append


@dataclass(frozen=True)
class Storage:
    """Elements `start` to `start + numel` of the storage `key`, which has `size` elements."""

    key: Any
    dtype: np.dtype
    size: int
    start: int
    numel: int

    def window(self, start: Any, numel: Any) -> "Storage":
        """Return the part of a whole storage that a view names."""
        fits = is_count(start, numel) and start + numel <= self.size
        need(fits, f"a view reaches past the end of storage {shown(self.key)}")
        return Storage(self.key, self.dtype, self.size, start, numel)


def storage(key: Any, kind: Any, size: Any) -> Storage:
    """Return a whole storage, given its class."""
    named = isinstance(kind, type) and cast(Any, kind).name.endswith("Storage")
    need(named, "a storage that is no storage")
    need(type(key) in (str, int) and is_count(size), "a storage whose key or size cannot be")
    return Storage(key, _dtype(kind.name.removesuffix("Storage").lower()), size, 0, size)


def _dtype(name: Any) -> np.dtype:
    short = str(name).removeprefix("torch.")
    full = _ALIASES.get(short, short)
    need(_DTYPE.fullmatch(full), f"a tensor of the unknown type {shown(name)}")
    return np.dtype(full)  # ml_dtypes has told numpy about bfloat16 and float8


def need(condition: Any, message: str) -> None:
    """Raise CorruptCheckpointError unless `condition` holds."""
    if not condition:
        raise CorruptCheckpointError(message)


def is_count(*values: Any) -> bool:
    """Return whether all `values` can be sizes, strides or offsets."""
    return all(type(value) is int and 0 <= value < 2**62 for value in values)


def shown(text: object) -> str:
    """Return untrusted text in quotes, on one line, cut to a length that fits into a message."""
    if isinstance(text, bytes):
        text = text[:80].decode("latin-1")
    elif isinstance(text, (str, int, Exception)):
        text = str(text)
    else:  # its text has no bound
        return f"a {type(text).__name__}"
    return repr(text if len(text) <= 80 else text[:77] + "...")


# From a stream to records -----------------------------------------------------------------------

# The unpickler hashes keys and elements, and hashing a nested tuple has no bound in time and depth:
# dicts and sets become records too (opcode INST: module, name), and their keys are checked later.
_REWRITTEN = {
    "EMPTY_DICT": b"(ijaxbio\ndict\n",
    "DICT": b"ijaxbio\ndict\n",
    "EMPTY_SET": b"(ijaxbio\nset\n",
    "FROZENSET": b"ijaxbio\nfrozenset\n",
    "FRAME": b"",  # the length of what is rewritten
}
_CHECKED = {*_REWRITTEN, "STOP", "PUT", "BINPUT", "LONG_BINPUT", "NEXT_BUFFER", "READONLY_BUFFER"}
_CHECKED |= {"EXT1", "EXT2", "EXT4"}
_OPCODES = {ord(o.code): (o.name, o.arg.n if o.arg else 0) for o in pickletools.opcodes}
_FIXED = {code: 1 + n for code, (name, n) in _OPCODES.items() if n >= 0 and name not in _CHECKED}
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: struct.Struct("<B"),
    pickletools.TAKEN_FROM_ARGUMENT4: struct.Struct("<i"),
    pickletools.TAKEN_FROM_ARGUMENT4U: struct.Struct("<I"),
    pickletools.TAKEN_FROM_ARGUMENT8U: struct.Struct("<Q"),
}


def _scanned(data: Any, start: int) -> tuple[bytes, int]:
    """Return the pickle at `start` without what is costly or dangerous, and where it ends."""
    pieces: list[bytes]
    pieces, at, position = [], start, start
    for count in range(MAX_OPERATIONS):
        code, begin = data[position], position
        if code in _FIXED:
            position += _FIXED[code]
            continue
        need(code in _OPCODES, f"damaged pickle: unknown opcode {code:#04x}")
        name, size = _OPCODES[code]
        position += 1
        if size == pickletools.UP_TO_NEWLINE:
            for _ in range(2 if name in ("GLOBAL", "INST") else 1):
                position = 1 + data.find(b"\n", position)
                need(position, "truncated: a text argument without an end")
        elif size < 0:
            (length,) = _LENGTHS[size].unpack_from(data, position)
            position += _LENGTHS[size].size
            need(0 <= length <= len(data) - position, f"truncated: {length} bytes wanted")
            size = length
        position += max(size, 0)
        argument = data[begin + 1 : position] if name.endswith("PUT") else b""
        if argument:  # the memo is a table, as long as the largest index
            index = int(argument) if name == "PUT" else int.from_bytes(argument, "little")
            need(index <= count, "damaged pickle: a gap in the memo")
        elif name in ("INT", "LONG", "FLOAT", "LONG1", "LONG4"):
            need(position - begin < 600, "damaged pickle: a number of enormous length")
        elif name in _REWRITTEN:
            pieces += data[at:begin], _REWRITTEN[name]
            at = position
        elif name == "STOP":
            return b"".join((*pieces, data[at:position])), position
        elif name in _CHECKED:  # EXT and BUFFER opcodes
            raise ForbiddenContentError(f"refused: {name} asks for what its file does not name")
    raise CorruptCheckpointError(f"a pickle of more than {MAX_OPERATIONS:,} operations")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, storages: Callable[[Any], Any], budget: Budget, unknown: bool):
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self.storages, self.budget, self.unknown = storages, budget, unknown
        self.found: dict[str, type[Record]] = {}

    def persistent_load(self, pid: Any) -> Any:
        return self.storages(pid)

    def find_class(self, module: str, name: str) -> type[Record]:
        full = f"{_MODULES.get(module, module)}.{name}"
        if not (self.unknown or full in _MAKERS or _MENTIONED.fullmatch(full)):
            raise ForbiddenContentError(
                f"refused, because it asks for {shown(full)}, which no checkpoint of plain tensors "
                "needs; if you trust its origin, save model.state_dict() again with PyTorch"
            )
        if full not in self.found:
            self.budget.spend(1000)
            members = {"__slots__": (), "name": full, "budget": self.budget}
            self.found[full] = type("Record", (Record,), members)
        return self.found[full]


class Stream:
    """Pickles one after the other, and raw data between them, in bytes or a memory map.

    Args:
        data: where they are.
        storages: maps a persistent id to a Storage.
        budget: what the records may cost.
        unknown: whether every name may be a record, not only those of tensors.
    """

    def __init__(self, data: Any, storages: Callable[[Any], Any], budget: Budget, unknown: bool):
        self.data, self.position, self.options = data, 0, (storages, budget, unknown)

    def load(self) -> Any:
        """Return the root of the next pickle: records, classes of records, plain containers."""
        harmless, self.position = _scanned(self.data, self.position)
        return _Unpickler(harmless, *self.options).load()

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        stop = self.position + size
        need(size >= 0 and stop <= len(self.data), f"truncated: {size} bytes wanted")
        raw, self.position = self.data[self.position : stop], stop
        return raw

    def numbers(self, count: int) -> tuple[int, ...]:
        """Return the next `count` 64-bit integers."""
        return struct.unpack(f"<{count}q", self.take(8 * count))


# From records to values -------------------------------------------------------------------------

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
        values = numbers(flat.view(np.uint8).data, _dtype(rest[2]), self.order)
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

"""The pickles of PyTorch files, read by Python's unpickler without anything that they name.

To the unpickler every name is a subclass of `Record`, which keeps what it is given;
:mod:`jaxbio.files.pickle_values` then makes values of the records.
"""

import io
import pickle
import pickletools
import re
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, cast

import ml_dtypes  # noqa: F401, numpy knows bfloat16 and float8 by it
import numpy as np

from jaxbio.errors import InputError

MAX_OPERATIONS = 2_000_000

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
_MENTIONED = re.compile(r"torch\.([a-z]\w*|\w+Storage|Tensor)|numpy\.ndarray|builtins\.object")
Known = Collection[str] | None
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
    return Storage(key, dtype_of(kind.name.removesuffix("Storage").lower()), size, 0, size)


def dtype_of(name: Any) -> np.dtype:
    """Return the type of elements that PyTorch calls so, such as "torch.half" or "float"."""
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
    def __init__(self, data: bytes, storages: Callable[[Any], Any], budget: Budget, known: Known):
        super().__init__(io.BytesIO(data), encoding="latin-1")
        self.storages, self.budget, self.known = storages, budget, known
        self.found: dict[str, type[Record]] = {}

    def persistent_load(self, pid: Any) -> Any:
        return self.storages(pid)

    def find_class(self, module: str, name: str) -> type[Record]:
        full = f"{_MODULES.get(module, module)}.{name}"
        if self.known is not None and not (full in self.known or _MENTIONED.fullmatch(full)):
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
        known: names that may be records; None: every name.
    """

    def __init__(self, data: Any, storages: Callable[[Any], Any], budget: Budget, known: Known):
        self.data, self.position, self.options = data, 0, (storages, budget, known)

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

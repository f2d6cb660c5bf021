"""A pickle interpreter that imports nothing and calls nothing but a table of its own functions.

Python's `pickle` turns a file into calls of whatever the file names. This machine runs the same
opcodes (protocols 0 to 5) over plain data: a global is a name looked up in a table that the caller
hands over, a call runs the function of that table, and everything else is refused. It works in a
loop, never by recursion, and what it allocates stays in proportion to the bytes that it has read.
"""

import codecs
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jaxbio.errors import InputError

MAX_OPERATIONS = 10_000_000
# A call may copy what it is given, and one long string can be given many times: the sum of the
# lengths of all arguments stays below this multiple of the bytes read.
MAX_COPY_RATIO = 64
MAX_NUMBER_BYTES = 256
MAX_KEY_PARTS = 16  # a tuple is hashed anew at every use

_PYTHON2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}
_KEY_TYPES = (str, int, float, bytes, type(None))  # bool is an int
_STRING_ESCAPES = re.compile(rb"""(?:[^\\]|\\(?:x[0-9a-f]{2}|[abfnrtv\\'"]))*""", re.DOTALL)


class CorruptCheckpointError(InputError):
    """The file is truncated, damaged, inconsistent, or no PyTorch checkpoint at all."""


class ForbiddenContentError(InputError):
    """The file asks for a Python object that reading tensors does not need."""


@dataclass(frozen=True)
class Global:
    """A name that the file mentions; a plain label, bound to no Python object."""

    name: str


class Buildable:
    """What may stand under a BUILD opcode: it decides what to do with the state."""

    def set_state(self, state: Any) -> None:
        """Take or ignore the state that the file gives to this object."""
        raise NotImplementedError


def shown(text: object) -> str:
    """Return untrusted text in quotes, on one line, cut to a length that fits into a message.

    Of anything but text, bytes and numbers only the type: the text of a nested object, as the file
    may nest it, has no bound.
    """
    if isinstance(text, bytes):
        text = text[:80].decode("latin-1")
    elif isinstance(text, (str, int, Exception)):
        text = str(text)
    else:
        return f"a {type(text).__name__}"
    return repr(text if len(text) <= 80 else text[:77] + "...")


def check_key(key: Any) -> Any:
    """Return `key` when it can be a dict key: a scalar or a flat tuple of scalars.

    Hashing a deeply nested tuple recurses in C without a limit, so nesting stops here.
    """
    flat = key if type(key) is tuple else (key,)
    if len(flat) > MAX_KEY_PARTS or not all(isinstance(item, _KEY_TYPES) for item in flat):
        raise CorruptCheckpointError(
            f"damaged pickle: a {type(key).__name__} serves as the key of a dict or set"
        )
    return key


class PickleMachine:
    """Runs one pickle after another from a buffer.

    Args:
        data: bytes, or a memory map of the file.
        constructors: every admitted global; the value makes the object from the call's arguments,
            or is None for a name that may be mentioned but not called.
        persistent_load: maps a persistent id of the file to an object.
        position: where the first pickle starts.
        end: where the readable part of `data` ends; default: its end.
    """

    def __init__(
        self,
        data: Any,
        constructors: Mapping[str, Callable[..., Any] | None],
        persistent_load: Callable[[Any], Any],
        position: int = 0,
        end: int | None = None,
    ):
        self.data = data
        self.position = position
        self.end = len(data) if end is None else end
        self.constructors = constructors
        self.persistent_load = persistent_load

    def load(self) -> Any:
        """Run one pickle and return its object; `position` then stands behind its STOP.

        Raises:
            CorruptCheckpointError: the opcodes make no sense.
            ForbiddenContentError: a global outside `constructors`, or a call of one that is no
                constructor.
        """
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.floor = 0  # the stack below the last mark is out of reach
        self.memo: dict[int, Any] = {}
        self.start = self.position
        self.copied = 0
        try:
            for _ in range(MAX_OPERATIONS):
                opcode = self.take(1)[0]
                if opcode == _STOP:
                    return self.pop()
                handler = _HANDLERS.get(opcode)
                if handler is None:
                    raise CorruptCheckpointError(f"damaged pickle: unknown opcode {opcode:#04x}")
                handler(self)
        except (CorruptCheckpointError, ForbiddenContentError):
            raise
        except (ValueError, TypeError, OverflowError, struct.error) as error:
            raise CorruptCheckpointError(f"damaged pickle: {shown(error)}") from None
        raise CorruptCheckpointError(f"a pickle of more than {MAX_OPERATIONS:,} operations")

    # Reading -----------------------------------------------------------------------------------

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        stop = self.position + size
        if size < 0 or stop > self.end:
            raise CorruptCheckpointError(
                f"truncated: {size} bytes wanted at byte {self.position}, where "
                f"{self.end - self.position} are left"
            )
        chunk = self.data[self.position : stop]
        self.position = stop
        return chunk

    def line(self) -> bytes:
        """Return the bytes up to the next newline, which protocol 0 puts after its arguments."""
        stop = self.data.find(b"\n", self.position, self.end)
        if stop < 0:
            raise CorruptCheckpointError("truncated: a text argument without an end")
        chunk = self.take(stop - self.position)
        self.position += 1
        return chunk

    def number(self, layout: struct.Struct) -> Any:
        """Return one number in a fixed binary layout."""
        return layout.unpack(self.take(layout.size))[0]

    # The stack ---------------------------------------------------------------------------------

    def pop(self) -> Any:
        """Take the top of the stack, never past the last mark."""
        if len(self.stack) <= self.floor:
            raise CorruptCheckpointError("damaged pickle: it takes from an empty stack")
        return self.stack.pop()

    def top(self, kinds: type | tuple[type, ...] = object) -> Any:
        """Return the top of the stack, which has to be one of `kinds`."""
        if len(self.stack) <= self.floor:
            raise CorruptCheckpointError("damaged pickle: it reads from an empty stack")
        if not isinstance(self.stack[-1], kinds):
            raise CorruptCheckpointError(
                f"damaged pickle: it adds items to a {type(self.stack[-1]).__name__}"
            )
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """Take everything above the last mark, and the mark."""
        if not self.marks:
            raise CorruptCheckpointError("damaged pickle: it closes a group that was not opened")
        items = self.stack[self.floor :]
        del self.stack[self.floor :]
        self.marks.pop()
        self.floor = self.marks[-1] if self.marks else 0
        return items

    def pop_tuple(self, size: int) -> tuple[Any, ...]:
        """Take the last `size` items, the oldest first."""
        return tuple([self.pop() for _ in range(size)][::-1])

    # Globals and calls -------------------------------------------------------------------------

    def find(self, module: Any, name: Any) -> Global:
        """Return the label of an admitted global."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise CorruptCheckpointError("damaged pickle: the name of a global is no string")
        full = f"{_PYTHON2_MODULES.get(module, module)}.{name}"
        if full not in self.constructors:
            raise ForbiddenContentError(
                f"refused, because it asks for {shown(full)}, which no checkpoint of plain tensors "
                "needs; if you trust its origin, save model.state_dict() again with PyTorch"
            )
        return Global(full)

    def charge(self, *values: Any) -> None:
        """Count what a call may copy, and stop a file that lets one value be copied without end."""
        for value in values:
            if isinstance(value, (str, bytes, tuple, list, dict, set, frozenset)):
                self.copied += len(value)
        if self.copied > MAX_COPY_RATIO * (self.position - self.start) + 2**20:
            raise CorruptCheckpointError("a pickle that multiplies its own content")

    def call(self, function: Any, args: Any) -> Any:
        """Return what the constructor of an admitted global makes of `args`."""
        if not isinstance(function, Global):
            raise CorruptCheckpointError(f"damaged pickle: it calls a {type(function).__name__}")
        constructor = self.constructors[function.name]
        if constructor is None:
            raise ForbiddenContentError(
                f"refused, because it calls {shown(function.name)}, which is only a name here"
            )
        if not isinstance(args, tuple):
            raise CorruptCheckpointError("damaged pickle: the arguments of a call are no tuple")
        self.charge(*args)
        try:
            return constructor(*args)
        except (TypeError, IndexError):  # the wrong number or kind of arguments
            raise CorruptCheckpointError(
                f"damaged pickle: {shown(function.name)} does not take such arguments"
            ) from None


# Opcodes ---------------------------------------------------------------------------------------
# Each handler has the machine as its only argument. Names are those of Python's pickletools.

_STOP = ord(".")
_HANDLERS: dict[int, Callable[[PickleMachine], None]] = {}
_U1, _U2, _I4, _U4, _U8 = (struct.Struct(f) for f in ("<B", "<H", "<i", "<I", "<Q"))


def _opcode(code: str) -> Callable[[Callable[[PickleMachine], None]], Any]:
    def register(handler: Callable[[PickleMachine], None]) -> Callable[[PickleMachine], None]:
        _HANDLERS[ord(code)] = handler
        return handler

    return register


def _pushes(code: str, read: Callable[[PickleMachine], Any]) -> None:
    _HANDLERS[ord(code)] = lambda m: m.stack.append(read(m))


def _latin1(raw: bytes) -> str:
    # Python 2 strings are names (ASCII) or raw numbers: Latin-1 keeps every byte of both.
    return raw.decode("latin-1")


def _utf8(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _integer(raw: bytes) -> int:
    if len(raw) > MAX_NUMBER_BYTES:
        raise CorruptCheckpointError("damaged pickle: a number of enormous length")
    return int.from_bytes(raw, "little", signed=True)


def _text_number(raw: bytes, kind: type = int) -> Any:
    if len(raw) > MAX_NUMBER_BYTES:
        raise CorruptCheckpointError("damaged pickle: a number of enormous length")
    return kind(raw.removesuffix(b"L"))


def _quoted(raw: bytes) -> str:
    raw = raw.strip()
    if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
        raise CorruptCheckpointError("damaged pickle: a string without quotes")
    if not _STRING_ESCAPES.fullmatch(raw[1:-1]):
        raise CorruptCheckpointError("damaged pickle: a string with an unknown escape")
    return _latin1(codecs.escape_decode(raw[1:-1])[0])


_pushes("N", lambda m: None)
_pushes("\x88", lambda m: True)
_pushes("\x89", lambda m: False)
_pushes("]", lambda m: [])
_pushes("}", lambda m: {})
_pushes(")", lambda m: ())
_pushes("\x8f", lambda m: set())

for _code, _layout in (("K", _U1), ("M", _U2), ("J", _I4), ("G", struct.Struct(">d"))):
    _pushes(_code, lambda m, layout=_layout: m.number(layout))

for _code, _size, _decode in (
    ("X", _U4, _utf8),
    ("\x8c", _U1, _utf8),
    ("\x8d", _U8, _utf8),
    ("T", _I4, _latin1),
    ("U", _U1, _latin1),
    ("B", _U4, bytes),
    ("C", _U1, bytes),
    ("\x8e", _U8, bytes),
    ("\x96", _U8, bytes),  # BYTEARRAY8
    ("\x8a", _U1, _integer),
    ("\x8b", _I4, _integer),
):
    _pushes(_code, lambda m, size=_size, decode=_decode: decode(m.take(m.number(size))))

_pushes("L", lambda m: _text_number(m.line()))
_pushes("F", lambda m: _text_number(m.line(), float))
_pushes("S", lambda m: _quoted(m.line()))
_pushes("V", lambda m: m.line().decode("raw-unicode-escape"))

for _code, _size in (("\x85", 1), ("\x86", 2), ("\x87", 3)):
    _pushes(_code, lambda m, size=_size: m.pop_tuple(size))
_pushes("t", lambda m: tuple(m.pop_mark()))
_pushes("l", lambda m: m.pop_mark())
_pushes("\x91", lambda m: frozenset(check_key(item) for item in m.pop_mark()))
_pushes("2", lambda m: m.top())


@_opcode("I")
def _int(m: PickleMachine) -> None:
    raw = m.line()
    # Protocols 0 and 1 have no booleans of their own.
    m.stack.append({b"00": False, b"01": True}[raw] if raw in (b"00", b"01") else _text_number(raw))


@_opcode("(")
def _mark(m: PickleMachine) -> None:
    m.floor = len(m.stack)
    m.marks.append(m.floor)


@_opcode("0")
def _pop(m: PickleMachine) -> None:
    if m.marks and len(m.stack) == m.floor:
        m.pop_mark()
    else:
        m.pop()


@_opcode("1")
def _pop_mark(m: PickleMachine) -> None:
    m.pop_mark()


@_opcode("\x80")
def _proto(m: PickleMachine) -> None:
    version = m.number(_U1)
    if version > 5:
        raise CorruptCheckpointError(f"damaged pickle: protocol {version}")


@_opcode("\x95")
def _frame(m: PickleMachine) -> None:
    if m.number(_U8) > m.end - m.position:
        raise CorruptCheckpointError("truncated: a pickle frame reaches past the end")


# The memo


def _remember(m: PickleMachine, index: int) -> None:
    m.memo[index] = m.top()


def _recall(m: PickleMachine, index: int) -> Any:
    if index not in m.memo:
        raise CorruptCheckpointError(f"damaged pickle: it recalls item {index}, never stored")
    return m.memo[index]


_HANDLERS[ord("p")] = lambda m: _remember(m, _text_number(m.line()))
_HANDLERS[ord("q")] = lambda m: _remember(m, m.number(_U1))
_HANDLERS[ord("r")] = lambda m: _remember(m, m.number(_U4))
_HANDLERS[0x94] = lambda m: _remember(m, len(m.memo))
_pushes("g", lambda m: _recall(m, _text_number(m.line())))
_pushes("h", lambda m: _recall(m, m.number(_U1)))
_pushes("j", lambda m: _recall(m, m.number(_U4)))

# Containers


def _set_items(target: dict[Any, Any], items: list[Any]) -> None:
    if len(items) % 2:
        raise CorruptCheckpointError("damaged pickle: a dict key without a value")
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[check_key(key)] = value


@_opcode("d")
def _dict(m: PickleMachine) -> None:
    made: dict[Any, Any] = {}
    _set_items(made, m.pop_mark())
    m.stack.append(made)


@_opcode("s")
def _setitem(m: PickleMachine) -> None:
    items = m.pop_tuple(2)
    _set_items(m.top(dict), list(items))


@_opcode("u")
def _setitems(m: PickleMachine) -> None:
    items = m.pop_mark()
    _set_items(m.top(dict), items)


@_opcode("a")
def _append(m: PickleMachine) -> None:
    item = m.pop()
    m.top(list).append(item)


@_opcode("e")
def _appends(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.top(list).extend(items)


@_opcode("\x90")
def _additems(m: PickleMachine) -> None:
    items = m.pop_mark()
    m.top(set).update(check_key(item) for item in items)


# Globals, calls, persistent ids

_pushes("c", lambda m: m.find(_utf8(m.line()), _utf8(m.line())))
_pushes("Q", lambda m: m.persistent_load(m.pop()))
_pushes("P", lambda m: m.persistent_load(_utf8(m.line())))


@_opcode("\x93")
def _stack_global(m: PickleMachine) -> None:
    module, name = m.pop_tuple(2)
    m.stack.append(m.find(module, name))


@_opcode("R")
@_opcode("\x81")
def _reduce_or_newobj(m: PickleMachine) -> None:
    function, args = m.pop_tuple(2)
    m.stack.append(m.call(function, args))


@_opcode("\x92")
def _newobj_ex(m: PickleMachine) -> None:
    function, args, keywords = m.pop_tuple(3)
    if keywords != {}:
        raise CorruptCheckpointError("damaged pickle: a call with keyword arguments")
    m.stack.append(m.call(function, args))


@_opcode("i")
def _inst(m: PickleMachine) -> None:
    function = m.find(_utf8(m.line()), _utf8(m.line()))
    m.stack.append(m.call(function, tuple(m.pop_mark())))


@_opcode("o")
def _obj(m: PickleMachine) -> None:
    function, *args = m.pop_mark() or [None]
    m.stack.append(m.call(function, tuple(args)))


@_opcode("b")
def _build(m: PickleMachine) -> None:
    state = m.pop()
    target = m.top()
    if not isinstance(target, Buildable):
        raise ForbiddenContentError(
            f"refused, because it sets the attributes of a {type(target).__name__}"
        )
    m.charge(state)
    target.set_state(state)


@_opcode("\x82")
@_opcode("\x83")
@_opcode("\x84")
def _extension(m: PickleMachine) -> None:
    raise ForbiddenContentError(
        "refused, because it asks for a global by an extension code (EXT), which hides its name"
    )


@_opcode("\x97")
@_opcode("\x98")
def _buffer(m: PickleMachine) -> None:
    raise CorruptCheckpointError("damaged pickle: it needs buffers from outside the file")

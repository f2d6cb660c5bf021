"""What the pickle of a PyTorch checkpoint may name, call and describe.

`CONSTRUCTORS` is the whole list. Tensors and storages are described here by where they lie; reading
them is the business of `torch_arrays`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from jaxbio.weights.pickle_machine import (
    Buildable,
    CorruptCheckpointError,
    ForbiddenContentError,
    Global,
    check_key,
    shown,
)

_NATIVE_DTYPES = (
    "bool uint8 uint16 uint32 uint64 int8 int16 int32 int64 "
    "float16 float32 float64 complex64 complex128"
)
DTYPES = {name: np.dtype(name) for name in _NATIVE_DTYPES.split()} | {
    name: np.dtype(getattr(ml_dtypes, name))  # numpy knows none of these; they become float32
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2")
}
_DTYPE_ALIASES = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "short": "int16",
    "int": "int32",
    "long": "int64",
    "cfloat": "complex64",
    "cdouble": "complex128",
}
_STORAGE_DTYPES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}
STORAGE_TYPES = {
    f"{module}.{kind}Storage": dtype
    for module in ("torch", "torch.cuda", "torch.storage")
    for kind, dtype in _STORAGE_DTYPES.items()
}


# What a pickle can describe --------------------------------------------------------------------


@dataclass(frozen=True)
class Storage:
    """A window of `numel` elements from element `start` on, in the raw storage `key`."""

    key: Any
    dtype: str
    numel: int
    start: int = 0

    @property
    def itemsize(self) -> int:
        """Bytes of one element in the file."""
        return DTYPES[self.dtype].itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of the window in the file."""
        return self.numel * self.itemsize


class Tensor(Buildable):
    """Where a tensor lies in a storage; nothing is checked or read yet."""

    def __init__(self) -> None:
        self.layout: tuple[Any, Any, Any, Any] | None = None
        self.dtype: str | None = None  # None: that of the storage
        self.flags: dict[Any, Any] = {}

    def set_state(self, state: Any) -> None:
        """Take the layout of an empty tensor; ignore the attributes of a complete one."""
        # PyTorch 0.1 fills tensors this way; later versions attach Python attributes.
        if self.layout is None and isinstance(state, tuple) and len(state) == 4:
            self.layout = state


class _OrderedDict(dict, Buildable):
    def set_state(self, state: Any) -> None:
        """Ignore it: a state_dict keeps the versions of its modules in `_metadata`."""


class _Namespace(dict, Buildable):
    def set_state(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise CorruptCheckpointError("damaged pickle: an argparse.Namespace without a dict")
        self.update(state)


class NumpyDtype(Buildable):
    """A numpy dtype of plain numbers; its byte order comes with its state."""

    def __init__(self, code: Any, *_: Any) -> None:
        if not (isinstance(code, str) and code in _NUMPY_CODES):
            raise ForbiddenContentError(
                f"refused, because it asks for numpy.dtype({shown(code)}); only plain numbers are "
                "read"
            )
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Take the byte order from a dtype's state."""
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise CorruptCheckpointError("damaged pickle: a numpy dtype of unknown byte order")
        self.dtype = self.dtype.newbyteorder(order)


_NUMPY_CODES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}


class NumpyArray(Buildable):
    """A numpy array; everything about it comes with its state."""

    def __init__(self, *_: Any) -> None:
        self.array = np.zeros(0)

    def set_state(self, state: Any) -> None:
        """Take (version, shape, dtype, is_fortran, bytes)."""
        if not (isinstance(state, tuple) and len(state) == 5):
            raise CorruptCheckpointError("damaged pickle: a numpy array without its five parts")
        _, shape, dtype, fortran, raw = state
        if not isinstance(shape, tuple) or len(shape) > 64:
            raise CorruptCheckpointError("damaged pickle: a numpy array without a shape")
        flat = _numpy_values(dtype, raw)
        if not all(is_count(n) for n in shape) or math.prod(shape) != flat.size:
            raise CorruptCheckpointError("a numpy array's shape does not fit its data")
        self.array = flat.reshape(shape, order="F" if fortran else "C")


class References:
    """The persistent ids of zip and legacy files: ("storage", type, key, location, numel, view).

    Attributes:
        roots: the whole storages that were mentioned, by key, as the pickle claims them.
    """

    def __init__(self) -> None:
        self.roots: dict[Any, Storage] = {}

    def __call__(self, pid: Any) -> Storage:
        """Return the storage that a persistent id means."""
        if not (isinstance(pid, tuple) and len(pid) in (5, 6) and pid[0] == "storage"):
            raise CorruptCheckpointError("a persistent id that names no storage")
        _, kind, key, _, numel, *view = pid
        if not (isinstance(kind, Global) and kind.name in STORAGE_TYPES):
            raise CorruptCheckpointError("a storage of unknown type")
        if not (type(key) in (str, int) and is_count(numel)):
            raise CorruptCheckpointError("a storage whose key or size cannot be")
        root = Storage(key, STORAGE_TYPES[kind.name], numel)
        if self.roots.setdefault(key, root).nbytes != root.nbytes:
            raise CorruptCheckpointError(f"storage {shown(key)} has two different sizes")
        if not view or view[0] is None:
            return root
        if not (isinstance(view[0], tuple) and len(view[0]) == 3):
            raise CorruptCheckpointError(f"storage {shown(key)} has a malformed view")
        return window(root, *view[0][1:])


def window(root: Storage, start: Any, numel: Any) -> Storage:
    """Return the part of a storage that a view names."""
    if not (is_count(start) and is_count(numel) and start + numel <= root.numel):
        raise CorruptCheckpointError(f"a view reaches past the end of storage {shown(root.key)}")
    return Storage(root.key, root.dtype, numel, root.start + start)


# The calls that a pickle may make --------------------------------------------------------------


def is_count(value: Any) -> bool:
    """Return whether `value` can be a size, stride or offset."""
    return type(value) is int and 0 <= value < 2**62


def _numpy_values(dtype: Any, raw: Any) -> np.ndarray:
    if isinstance(raw, str):  # written by Python 2
        raw = raw.encode("latin-1")
    if not (isinstance(dtype, NumpyDtype) and isinstance(raw, bytes)):
        raise CorruptCheckpointError("damaged pickle: numpy data without a plain dtype or bytes")
    if len(raw) % dtype.dtype.itemsize:
        raise CorruptCheckpointError("numpy data that end within a number")
    if dtype.dtype.kind == "b":  # any byte but 0 and 1 would be an invalid numpy bool
        return np.frombuffer(raw, np.uint8) != 0
    values = np.frombuffer(raw, dtype.dtype)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _numpy_scalar(dtype: Any, raw: Any) -> Any:
    values = _numpy_values(dtype, raw)
    if values.size != 1:
        raise CorruptCheckpointError("a numpy scalar's data are not one number")
    return values[0].item()


def tensor_at(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Return a tensor described by its place in a storage (in elements)."""
    tensor = Tensor()
    tensor.layout = (storage, offset, size, stride)
    return tensor


def _tensor_v2(*args: Any) -> Tensor:
    tensor = tensor_at(*args)
    if len(args) > 6 and isinstance(args[6], dict):
        tensor.flags = args[6]
    return tensor


def _tensor_v3(*args: Any) -> Tensor:
    tensor = _tensor_v2(*args[:6], *args[7:])
    name = args[6].name.removeprefix("torch.") if isinstance(args[6], Global) else None
    tensor.dtype = _DTYPE_ALIASES.get(name, name)
    return tensor


def _parameter(tensor: Any = None, *_: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise CorruptCheckpointError("damaged pickle: a parameter without a tensor")
    return tensor


def _tensor_subclass(function: Any, kind: Any, args: Any, state: Any = None) -> Tensor:
    # torch.Tensor and Parameter with Python attributes; the attributes are dropped.
    if not (isinstance(function, Global) and function.name in _REBUILDERS):
        raise CorruptCheckpointError("damaged pickle: a tensor rebuilt by something else")
    return _REBUILDERS[function.name](*args)


def _pairs(items: Any = ()) -> _OrderedDict:
    return _OrderedDict((check_key(key), value) for key, value in items)


def _counter(items: Any) -> dict[Any, Any]:
    if not isinstance(items, dict):
        raise CorruptCheckpointError("damaged pickle: a Counter without a dict")
    return dict(items)


def _latin1_bytes(text: Any, encoding: Any = "latin1") -> bytes:
    if not (isinstance(text, str) and encoding in ("latin1", "latin-1")):
        raise CorruptCheckpointError("damaged pickle: bytes in an unknown encoding")
    return text.encode("latin-1")


def _bytes(content: Any = b"", encoding: Any = "latin1") -> bytes:
    return content if isinstance(content, bytes) else _latin1_bytes(content, encoding)


def _device(kind: Any, index: Any = None) -> str:
    if not (isinstance(kind, str) and (index is None or is_count(index))):
        raise CorruptCheckpointError("damaged pickle: a device without a name")
    return kind if index is None else f"{kind}:{index}"


def _path(*parts: Any) -> str:
    return "/".join(parts).replace("//", "/")


def _reconstructor(kind: Any, base: Any, state: Any) -> _Namespace:
    # How pickle protocols 0 and 1 make an object.
    if kind != Global("argparse.Namespace") or base != Global("builtins.object") or state:
        raise ForbiddenContentError("refused, because it calls 'copyreg._reconstructor' on a class")
    return _Namespace()


_REBUILDERS: dict[str, Callable[..., Tensor]] = {
    "torch._utils._rebuild_tensor": tensor_at,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path")
CONSTRUCTORS: dict[str, Callable[..., Any] | None] = {
    **_REBUILDERS,
    "torch._tensor._rebuild_from_type_v2": _tensor_subclass,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.Size": tuple,
    "torch.device": _device,
    "collections.OrderedDict": _pairs,
    "collections.Counter": _counter,
    "argparse.Namespace": _Namespace,
    "builtins.set": lambda items=(): {check_key(item) for item in items},
    "builtins.frozenset": lambda items=(): frozenset(check_key(item) for item in items),
    "builtins.complex": complex,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _latin1_bytes,
    "copyreg._reconstructor": _reconstructor,
    "numpy.dtype": NumpyDtype,
    **{
        f"numpy.{core}.multiarray.{name}": make
        for core in ("core", "_core")
        for name, make in (("scalar", _numpy_scalar), ("_reconstruct", NumpyArray))
    },
    **{f"{m}.{p}": _path for m in ("pathlib", "pathlib._local") for p in _PATHS},
    # PyTorch 0.1 makes an empty tensor and sets its state.
    **{
        f"{module}.{kind}Tensor": Tensor
        for module in ("torch", "torch.cuda")
        for kind in _STORAGE_DTYPES
    },
    # Only mentioned, never called.
    **dict.fromkeys(STORAGE_TYPES),
    **{f"torch.{name}": None for name in (*DTYPES, *_DTYPE_ALIASES)},
    **dict.fromkeys(("torch.Tensor", "numpy.ndarray", "builtins.object")),
}

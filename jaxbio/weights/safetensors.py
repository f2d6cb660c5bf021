"""Read safetensors files: a JSON header (type, shape and place of each tensor), then raw data."""

import json
import math
import mmap

import numpy as np

from jaxbio.files.pickle_values import numbers
from jaxbio.files.pickles import is_count, need, shown

_TYPES = {"BOOL": "bool", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
_TYPES |= {f"F{bits}": f"float{bits}" for bits in (16, 32, 64)} | {"C64": "complex64"}
_TYPES |= {
    f"{s}{bits}": f"{n}int{bits}" for s, n in (("I", ""), ("U", "u")) for bits in (8, 16, 32, 64)
}


def read_safetensors(view: mmap.mmap) -> dict[str, np.ndarray]:
    """Return the tensors by name; what types become, see :func:`jaxbio.weights.reader.read_torch`.

    Raises:
        CorruptCheckpointError: the header, or a tensor's place or type, makes no sense.

    Reference:
        The format section of https://github.com/huggingface/safetensors.
    """
    start = 8 + int.from_bytes(view[:8], "little")
    need(start <= len(view), "truncated: the header is longer than the file")
    header = json.loads(view[8:start])
    need(isinstance(header, dict), "damaged header: no JSON object")
    header.pop("__metadata__", None)
    tensors, total = {}, 0
    for name, entry in header.items():
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        need(
            entry["dtype"] in _TYPES, f"{shown(name)} has the unknown type {shown(entry['dtype'])}"
        )
        dtype = np.dtype(_TYPES[entry["dtype"]])
        sizes = isinstance(shape, list) and len(shape) <= 64 and is_count(begin, end, *shape)
        need(
            sizes and end - begin == math.prod(shape) * dtype.itemsize,
            f"{shown(name)} has a size other than its data's",
        )
        total += end - begin
        need(
            start + end <= len(view) and start + total <= len(view), "truncated, or tensors overlap"
        )
        tensors[name] = numbers(view[start + begin : start + end], dtype, "<").reshape(shape)
    return tensors


def is_safetensors(head: bytes) -> bool:
    """Return whether a file that begins like this is one."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32

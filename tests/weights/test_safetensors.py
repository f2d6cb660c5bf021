"""Safetensors files: good, lying and damaged ones."""

import json
import struct

import numpy as np
import pytest

from jaxbio.weights.reader import CorruptCheckpointError, read_torch


def ramp(*shape):
    return (np.arange(np.prod(shape, dtype=int), dtype=np.float32) / 8).reshape(shape)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.safetensors"


def safetensors(path, tensors, **changes):
    """Name to (type, shape, raw data); `changes` replaces keys of every header entry."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data + raw)],
        }
        header[name] |= changes
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def test_safetensors(path):
    bits = (ramp(2, 3).view(np.uint32) >> 16).astype("<u2")
    tensors = {
        "a.weight": ("F32", [2, 3], ramp(2, 3).tobytes()),
        "half": ("BF16", [2, 3], bits.tobytes()),
        "mask": ("BOOL", [3], b"\x00\x01\x02"),
        "count": ("I64", [], struct.pack("<q", -5)),
        "none": ("F64", [0, 2], b""),
    }
    found = read_torch(safetensors(path, tensors))
    assert list(found) == list(tensors)
    np.testing.assert_array_equal(found["a.weight"], ramp(2, 3))
    np.testing.assert_array_equal(found["half"], ramp(2, 3))
    assert found["half"].dtype == np.float32
    assert found["mask"].tolist() == [False, True, True]
    assert (found["count"].shape, int(found["count"]), found["none"].shape) == ((), -5, (0, 2))
    assert not found["a.weight"].flags.writeable


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "F4"},
        {"shape": [7]},
        {"shape": [-2, -3]},
        {"shape": [2**40, 2**40]},
        {"shape": "23"},
        {"data_offsets": [0, 2**40]},
        {"data_offsets": [-24, 0]},
        {"data_offsets": [24, 48], "shape": [2, 3]},
        {"data_offsets": None},
    ],
)
def test_safetensors_that_lie(changes, path):
    safetensors(path, {"w": ("F32", [2, 3], ramp(2, 3).tobytes())}, **changes)
    with pytest.raises(CorruptCheckpointError):
        read_torch(path)


def test_safetensors_damaged(path):
    tensors = {"w": ("F32", [2, 3], ramp(2, 3).tobytes()), "v": ("F32", [1], ramp(1).tobytes())}
    raw = safetensors(path, tensors).read_bytes()
    for damage in (
        raw[:-1],
        raw[:20],
        struct.pack("<Q", 2**31) + raw[8:],
        raw[:9] + b"[" + raw[10:],
    ):
        path.write_bytes(damage)
        with pytest.raises(CorruptCheckpointError):
            read_torch(path)

"""Hostile files of numbers: weights, arrays, HDF5, MATLAB; sizes, bombs, nesting, pickles."""

import io
import itertools
import json
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from tests.faults.malformed import CANARY
from tests.weights.test_reader_attacks import FORBIDDEN
from tests.weights.torch_files import state_dict, storage, tensor, zip_file

_GIB = 2**30


class _Evil:
    """A pickle that would show that it was executed."""

    def __reduce__(self):
        return open, (CANARY, "w")


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _zip(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def weights(work: Path, _: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    path = work / "a.pth"
    shapes = {
        "huge": ((2**40,), (1,)),
        "negative": ((-1,), (1,)),
        "back": ((4,), (-1,)),
        "far": ((2, 2), (2**61, 1)),
        "repeated": ((2**40,), (0,)),
        "repeated 27": ((2**27,), (0,)),
        "70 axes": ((1,) * 70, (1,) * 70),
        "overflow": ((2**33, 2**33), (0, 0)),
        "empty": ((0, 2**61), (1, 1)),
    }
    for name, (size, stride) in shapes.items():
        described = state_dict(w=tensor(storage(), 0, size, stride))
        yield "weights", name, zip_file(path, described)
    for name, described in FORBIDDEN.items():
        yield "weights", name, zip_file(path, b"\x80\x02" + described + b".")
    bombs = {
        "deep": b"\x80\x02" + b"(" * 200_000 + b"t" * 200_000 + b".",
        "lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "itself": b"\x80\x02]q\0h\0a.",
        "laughs": b"\x80\x02]q\0"
        + b"".join(b"](" + b"h%c" % i * 4 + b"eq%c" % (i + 1) for i in range(60))
        + b".",
        "number": b"\x80\x02\x8b\xff\xff\xff\x7f" + b"1" * 100 + b".",
        "digits": b"I" + b"9" * 5_000_000 + b"\n.",
        "operations": b"\x80\x02" + b"N0" * 12_000_000 + b".",
        "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
        "dup": b"\x80\x02(K\x01" + b"2" * 1_900_000 + b"l.",
        "keys": b"\x80\x02}(" + b"K\x01)K\x02\x86" * 300_000 + b"u.",
        "long text": b"\x80\x02X" + struct.pack("<I", 2**31) + b"a.",
    }
    for name, described in bombs.items():
        yield "weights", name, zip_file(path, described)
    evil = pickle.dumps({"w": _Evil()}, 2)
    for protocol in range(6):
        raw = pickle.dumps(_Evil(), protocol)
        yield "weights", f"plain {protocol}", put(path, raw)
        yield "weights", f"zip {protocol}", zip_file(path, raw)
    begin = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {})]
    yield "weights", "legacy", put(path, b"".join([*begin, evil, pickle.dumps([], 2)]))
    packed = _zip({"a/data.pkl": bytes(2**28)}, zipfile.ZIP_DEFLATED)
    yield "weights", "packed", put(path, packed)
    for name in ("../../x/data.pkl", "/a/data.pkl", "a/../data.pkl", "data.pkl", "\\data.pkl"):
        yield "weights", name, put(path, _zip({name: b"\x80\x02}."}))
    headers: dict[str, Any] = {
        "list": [],
        "text": {"a": "x"},
        "no shape": {"a": {"dtype": "F32"}},
        "huge": {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        "floats": {"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0.0, 4.0]}},
        "bools": {"a": {"dtype": "F32", "shape": [True], "data_offsets": [False, 4]}},
        "dtype": {"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}},
        "offsets": {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}},
        "ranks": {"a": {"dtype": "F32", "shape": [1] * 65, "data_offsets": [0, 4]}},
        "zero": {"a": {"dtype": "F32", "shape": [0, 2**61], "data_offsets": [0, 0]}},
    }
    texts = {name: json.dumps(header).encode() for name, header in headers.items()}
    texts |= {"nested": b'{"a":' * 50_000, "bad": b"{\xff}", "cut": b'{"a"'}
    for name, text in texts.items():
        content = struct.pack("<Q", len(text)) + text + bytes(8)
        yield "weights", f"safetensors {name}", put(work / "a.safetensors", content)
    yield "weights", "safetensors long", put(work / "a.safetensors", b"\xff" * 3 + bytes(5) + b"{")
    for name, size in (("negative", b"\xff" * 12), ("huge", b"\x80" + b"\x7f" * 11)):
        header = tarfile.TarInfo("storages").tobuf(tarfile.GNU_FORMAT)
        header = header[:124] + size + header[136:148] + b" " * 8 + header[156:]
        total = f"{sum(header[:148]) + sum(header[156:]) + 8 * 32:06o}".encode() + b"\0 "
        content = header[:148] + total + header[156:] + bytes(2048)
        yield "weights", f"tar {name}", put(work / "a.tar", content)


def _npy(descr: str, shape: tuple[int, ...], data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(stream, header)
    return stream.getvalue() + data


def _raw_npy(header: bytes, version: int = 1) -> bytes:
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header


def arrays(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    headers = {
        "huge": _npy("<f8", (10**15,)),
        "huge 2": _npy("<f8", (2**40, 2**40)),
        "8 GiB": _npy("<f8", (_GIB,)),
        "negative": _npy("<f8", (-1,)),
        "two negatives": _npy("<f8", (-(2**20), -(2**20))),
        "objects": _npy("|O", (3,)),
        "empty texts": _npy("<U0", (2**62,)),
        "long texts": _npy("<U1000000000", (5,)),
        "zero axis": _npy("<f8", (0, 2**62)),
        "90 axes": _npy("<f8", (1,) * 90),
        "nested": _raw_npy(b"(" * 9000 + b"\n"),
        "unclosed": _raw_npy(b"{'descr': '<f8', 'shape': (1,\n"),
        "tokens": _raw_npy(b"'''\n"),
        "names": _raw_npy(b"{'descr': open, 'fortran_order': False, 'shape': (1,)}\n"),
        "types": _raw_npy(b"{'descr': 3, 'fortran_order': 0, 'shape': 'a'}\n"),
        "fields": _raw_npy(
            b"{'descr': [('a','<f8'),('a','<f8')], 'fortran_order': False, 'shape': (1,)}\n"
        ),
        "version 9": _raw_npy(b"{}\n", 9),
        "long header": _raw_npy(b" " * 2_000_000 + b"{}\n", 2),
        "dates": _npy("<M8[s]", (12,), bytes(96)),
        "structs": _npy([("a", "<f4")], (12, 3, 1), bytes(144)),  # type: ignore[arg-type]
        "complex": _npy("<c8", (12, 3, 1), bytes(288)),
    }
    fields = {
        "portable.npz": ("responses", "stimulus_ids", "human_it_rdms", "rdm_human_it", "time_bins"),
        "kriegeskorte.npz": ("human_it_rdms", "category"),
        "features.npz": ("layer/area", "image", "description"),
        "activity.npz": ("counts", "digest"),
    }
    readers = {"features.npz": "features", "activity.npz": "activity"}
    for (name, raw), file in itertools.product(headers.items(), fields):
        with zipfile.ZipFile(named[file]) as archive:
            members = {i: archive.read(i) for i in archive.namelist()}
        for field in fields[file]:
            content = _zip({**members, f"{field}.npy": raw}, zipfile.ZIP_DEFLATED)
            path = put(work / file, content)
            yield readers.get(file, "neural"), f"{file} {field} {name}", path
        if file == "portable.npz":
            shutil.copy(named["table.npy"].with_name("stimuli.csv"), work / "stimuli.csv")
            yield "neural", f"npy {name}", put(work / "table.npy", raw)
    objects = np.empty(2, object)
    objects[:] = [_Evil(), _Evil()]
    for name, reader in (("a.npz", "neural"), ("b.npz", "features"), ("c.npz", "activity")):
        digest = np.array("d" * 32)
        np.savez(work / name, stimulus_ids=objects, digest=digest, counts=objects, labels=objects)
        yield reader, "pickled", work / name
    for name, gib in (("1 GiB", 1), ("3 GiB", 3)):
        with zipfile.ZipFile(named["portable.npz"]) as archive:
            members = {i: archive.read(i) for i in archive.namelist()}
        bomb = work / "bomb.npz"
        # Two hundred times what is stored; a thousand times takes half a minute to make.
        with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for member, content in members.items():
                if member != "responses.npy":
                    archive.writestr(member, content)
            with archive.open("responses.npy", "w", force_zip64=True) as stream:
                stream.write(_npy("<f8", (12, gib * _GIB // 96, 1)))
                for _ in range(64 * gib):
                    stream.write(bytes(2**24))
        yield "neural", f"zeros {name}", bomb
        shutil.copy(bomb, work / "copy.npz")
        yield "activity", f"zeros {name}", work / "copy.npz"
    many = {f"neuroid_{i}.npy": _npy("<f8", (2**24,), bytes(2**27)) for i in range(2)}
    stream = _zip(many, zipfile.ZIP_DEFLATED)
    yield "neural", "two of 128 MiB", put(work / "many.npz", stream)
    long = np.array(["x" * 2**18] + ["y"] * 3000, object)
    with h5py.File(work / "texts.h5", "w") as file:
        file.create_dataset("stimulus_ids", data=long, dtype=h5py.string_dtype())
    yield "neural", "one long text", work / "texts.h5"


def _changed(work: Path, sound: Path, change: Callable[[h5py.File], None]) -> Path:
    path = work / sound.name
    shutil.copy(sound, path)
    with h5py.File(path, "a") as file:
        change(file)
    return path


def hdf5(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    other = work / "other.h5"
    with h5py.File(other, "w") as file:
        file["x"] = np.ones((12, 4, 1))
        file["stimulus_ids"] = ["a"] * 12
    compound = np.zeros((12, 4, 1), [("a", "<f4"), ("b", "<i2")])
    chunks: dict[str, Any] = {"chunks": (1, 2**16, 1), "compression": "gzip"}
    kinds: dict[str, dict[str, Any]] = {
        "huge": {"shape": (12, 2**40, 1), "dtype": "f4", **chunks},
        "24 GiB": {"shape": (12, 2**29, 1), "dtype": "f4", **chunks},
        "3 GiB": {"shape": (12, 2**26, 1), "dtype": "f4", "chunks": (1, 2**20, 1)},
        "late": {"shape": (12, 2**26, 1), "dtype": "f4"},
        "external": {"shape": (12, 4, 1), "dtype": "u1", "external": [("/etc/passwd", 0, 48)]},
        "compound": {"data": compound},
        "texts": {"data": [b"a"] * 12},
        "objects": {"data": np.array([b"a"] * 12, "S1")},
        "bytes": {"data": np.void(b"\0" * 9)},
        "enum": {"data": np.ones((12, 4, 1), bool)},
        "half": {"data": np.ones((12, 4, 1), np.float16)},
        "complex": {"data": np.ones((12, 4, 1), np.complex64)},
        "lists": {"shape": (12,), "dtype": h5py.vlen_dtype(np.float32)},
        "references": {"shape": (12,), "dtype": h5py.ref_dtype},
        "regions": {"shape": (12,), "dtype": h5py.regionref_dtype},
        "nothing": {"data": h5py.Empty("f4")},
        "NaN": {"data": np.full((12, 4, 1), np.nan)},
        "scalar": {"data": 3.5},
        "no rows": {"shape": (0, 4, 1), "dtype": "f4"},
        "32 axes": {"shape": (1,) * 32, "dtype": "f4"},
        "opaque": {"data": np.array([b"abc"], "V3")},
        "array": {"data": np.zeros((12,), [("a", "<f4", (3,))])},
        "not UTF-8": {"data": np.array([b"\xff\xfe"] * 12)},
    }
    links = {
        "external link": h5py.ExternalLink("/etc/passwd", "x"),
        "other file": h5py.ExternalLink(str(other), "x"),
        "loop": h5py.SoftLink("/responses"),
        "nowhere": h5py.SoftLink("/nowhere/x"),
        "group": h5py.SoftLink("/"),
    }
    places = {
        "portable.h5": ("responses", "stimulus_ids", "rdm_human_it", "stimulus_images"),
        "four.nc": ("xarray_data", "stimulus_id", "time_bin_start"),
        "units.nwb": (
            "units/spike_times",
            "units/spike_times_index",
            "intervals/trials/start_time",
        ),
        "version73.mat": ("RDMs/RDM", "RDMs/name"),
        "features.h5": ("layers/area/features", "image"),
    }
    for file, fields in places.items():
        reader = "features" if file.startswith("features") else "neural"
        for field, (kind, options) in itertools.product(fields, kinds.items()):

            def replace(f, field=field, options=options):
                del f[field]
                f.create_dataset(field, **options)

            yield reader, f"{file} {field} {kind}", _changed(work, named[file], replace)
        for field, (kind, link) in itertools.product(fields, links.items()):

            def relink(f, field=field, link=link):
                del f[field]
                f[field] = link

            yield reader, f"{file} {field} {kind}", _changed(work, named[file], relink)

        def virtual(f, field=fields[0]):
            layout = h5py.VirtualLayout((12, 4, 1), "f4")
            layout[:] = h5py.VirtualSource(str(other), "x", (12, 4, 1))
            del f[field]
            f.create_virtual_dataset(field, layout)

        yield reader, f"{file} virtual", _changed(work, named[file], virtual)

        def attributes(f, field=fields[0]):
            texts = {"scale_factor": "x", "add_offset": "y", "_FillValue": "z", "_Unsigned": 3}
            f[field].attrs.update({**texts, "missing_value": [b"a"], "DIMENSION_LIST": "x"})
            f[field].attrs["MATLAB_class"] = 3
            f[field].attrs["valid_range"] = "a"

        yield reader, f"{file} attributes", _changed(work, named[file], attributes)

        def nested(f):
            group = f
            for _ in range(3000):
                group = group.create_group("a")

        yield reader, f"{file} nested", _changed(work, named[file], nested)

        def again(f):
            f["more"] = h5py.SoftLink("/")
            f["yet"] = f["/"]

        yield reader, f"{file} itself", _changed(work, named[file], again)
    big = {"shape": (2**25,), "dtype": "f8", "chunks": (2**20,), "compression": "gzip"}

    def repeated(f):
        f.create_dataset("neuroid_0", **big)[:] = 1
        for i in range(1, 30):
            f[f"neuroid_{i}"] = f["neuroid_0"]

    yield "neural", "hard links", _changed(work, named["portable.h5"], repeated)
    words = ("description", "about", "layers", "content_key", "format", "complete")
    layers = [{"area": {"bad": 1}}, {"area": [1]}, {"area": {"name": 3, "shape": "x"}}]
    values = ["{", "[]", "null", 3, "x" * 10, np.zeros(3), "[" * 20_000, *map(json.dumps, layers)]
    for word, value in itertools.product(words, values):

        def attribute(f, word=word, value=value):
            f.attrs[word] = value

        yield "features", f"{word} {value!s:.20}", _changed(work, named["features.h5"], attribute)


def matlab(work: Path, _: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(
        klass: int, dims: tuple[int, ...], rest: bytes = b"", name: bytes = b"RDMs"
    ) -> bytes:
        flags = element(6, struct.pack("<II", klass, 0))
        shape = element(5, struct.pack(f"<{len(dims)}i", *dims))
        return element(14, flags + shape + element(1, name) + rest)

    names = element(5, struct.pack("<i", 8)) + element(1, b"RDM".ljust(8, b"\0"))
    none = element(5, struct.pack("<i", 8)) + element(1, b"")
    parts = {
        "cells": matrix(1, (2**14, 2**14)),
        "many cells": matrix(1, (2**30, 8)),
        "structs": matrix(2, (2**14, 2**14), names),
        "no fields": matrix(2, (2**30, 4), none),
        "objects": matrix(3, (2**14, 2**14), element(1, b"x") + names),
        "negative": matrix(6, (-1, -1), element(9, bytes(8))),
        "numbers": matrix(6, (2**15, 2**15), element(9, bytes(8))),
        "letters": matrix(4, (2**15, 2**15), element(4, bytes(8))),
        "sparse": matrix(5, (2**30, 2**30), element(5, bytes(8)) * 2 + element(9, bytes(8))),
        "function": matrix(16, (1, 1), element(1, b"x")),
        "opaque": matrix(17, (1, 1), element(1, b"x") * 3),
        "class 99": matrix(99, (1, 1), element(9, bytes(8))),
        "70 axes": matrix(6, (1,) * 70, element(9, bytes(8))),
        "short": struct.pack("<II", 14, 2**31) + bytes(16),
        "odd": struct.pack("<II", 77, 8) + bytes(8),
        "small": struct.pack("<HH", 9, 8) + bytes(4),
        "packed": element(15, zlib.compress(struct.pack("<II", 14, 2**31) + bytes(2**20))),
        "packed zeros": element(
            15, zlib.compress(matrix(6, (2**13, 2**13), element(9, bytes(2**29))), 9)
        ),
        "not packed": element(15, b"abc" * 9),
    }
    deep = b""
    for _ in range(2000):
        deep = matrix(1, (1, 1), deep)
    for name, body in {**parts, "nested": deep}.items():
        yield "neural", name, put(work / "a.mat", head + body)
    yield (
        "neural",
        "version 4",
        put(work / "a.mat", struct.pack("<5i", 0, 2**30, 8, 0, 2) + b"a\0"),
    )
    four = struct.pack("<5i", 0, -5, 8, 0, 2**31 - 1)
    yield "neural", "version 4 negative", put(work / "a.mat", four + bytes(64))
    sparse = struct.pack("<5i", 2, 3, 3, 0, 2) + b"a\0" + struct.pack("<9d", *range(9))
    yield "neural", "version 4 sparse", put(work / "a.mat", sparse)
    wrong: dict[str, Any] = {
        "text": "abc",
        "cell": np.array([[1, "a"]], object),
        "complex": np.ones((3, 3), complex),
        "NaN": np.full((3, 3), np.nan),
        "empty": np.zeros((0, 0)),
        "struct": {"RDM": "x", "name": 3},
    }
    fields = ("RDMs", "features", "meta", "stimuli_92objs", "RDMs_mIT_hIT_fig1")
    for (kind, value), field in itertools.product(wrong.items(), fields):
        rest = {name: np.ones((3, 2)) for name in fields if name in ("features",)}
        scipy.io.savemat(work / "b.mat", {**rest, field: value})
        yield "neural", f"{field} {kind}", work / "b.mat"

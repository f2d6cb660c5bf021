"""Hand-made hostile files: extreme declared sizes, bombs, nesting, links, wrong types, pickles."""

import gzip
import itertools
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.hostile_arrays import arrays, hdf5, matlab, put, weights
from tests.faults.malformed import CANARY, Case


def hostile(work: Path, sound: dict[str, list[Path]]) -> Iterator[Case]:
    """All of them, one after the other; each is gone when the next one comes."""
    named = {path.name: path for files in sound.values() for path in files}
    for make in (weights, arrays, hdf5, matlab, pictures, idx, special, texts, runs):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        for number, (reader, name, path) in enumerate(make(work, named)):
            yield Case(reader, f"{make.__name__} {number} {name}", path)


def _png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 2) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def pictures(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    little = zlib.compress(bytes(100))
    sizes = ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0), (13_000, 13_000), (1, 10**8))
    for width, height in sizes:
        yield "picture", f"{width}x{height}", put(work / "a.png", _png(width, height, little))
    row = zlib.compressobj(9)
    whole = b"".join(row.compress(bytes(4 * 10_000 + 1)) for _ in range(9_990)) + row.flush()
    yield "picture", "100 megapixels", put(work / "b.png", _png(10_000, 9_990, whole, 8, 6))
    row = zlib.compressobj(9)
    whole = b"".join(row.compress(bytes(3 * 16_000 + 1)) for _ in range(16_000)) + row.flush()
    for reader in ("picture", "decoding"):
        yield reader, "256 megapixels", put(work / "c.png", _png(16_000, 16_000, whole))
    gif = b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + b"\x80\0\0\0\0\0\xff\xff\xff,"
    gif += struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02\x4c\x01\0;"
    frames = gif.replace(struct.pack("<HH", 65_535, 65_535), struct.pack("<HH", 4, 4), 1)
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(" + CANARY.encode()
    program += b") (w) file closefile showpage\n%%EOF\n"
    others = {
        "gif": gif,
        "gif frame": frames,
        "program": program,
        "bmp": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 2**30, 2**30, 1, 24, *[0] * 6),
        "bmp up": b"BM"
        + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 9, -(2**31), 1, 24, *[0] * 6),
        "tiff": b"II*\0\x08\0\0\0\x01\0\0\x01\x04\0\xff\xff\xff\xff\0\0\0\0",
        "tiff loop": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "webp": b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff" * 6,
        "avif": struct.pack(">I", 2**31) + b"ftypavif" + bytes(16),
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
        "text": b"hello",
        "empty": b"",
    }
    for reader, (name, content) in itertools.product(("picture", "decoding"), others.items()):
        yield reader, name, put(work / f"{name.split()[0]}.png", content)
    for value in (0, 9, 65_535):
        from PIL import Image

        exif = Image.Exif()
        exif[0x0112] = value
        Image.new("RGB", (9, 8)).save(work / "e.jpg", exif=exif)
        yield "picture", f"EXIF {value}", work / "e.jpg"
    folder = work / "folder"
    folder.mkdir()
    (folder / "gone.png").symlink_to("nowhere")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "up").symlink_to("..")
    (folder / "dir.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe")
    shutil.copy(named["a.png"], os.fsencode(folder) + b"/\xff.png")
    yield "folder", "links and pipes", folder


def idx(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    sound = named["train-images-idx3-ubyte"].parent
    zeros = gzip.compress(struct.pack(">4I", 0x803, 20, 8, 8) + bytes(2**29))
    huge = struct.pack(">4I", 0x803, *(2**32 - 1,) * 3)
    contents = {
        "huge": ("", huge),
        "huge packed": (".gz", gzip.compress(huge)),
        "zero product": ("", struct.pack(">4I", 0x803, 2**31, 2**31, 4)),
        "no pixels": ("", struct.pack(">4I", 0x803, 20, 0, 0)),
        "zeros": (".gz", zeros),
        "declared zeros": (
            ".gz",
            gzip.compress(struct.pack(">4I", 0x803, 2**19, 32, 32) + bytes(2**29)),
        ),
        "wide": ("", struct.pack(">4I", 0x803, 20, 8, 9) + bytes(1440)),
    }
    for name, (suffix, content) in contents.items():
        inside = work / "case" / "mnist"
        shutil.rmtree(inside, ignore_errors=True)
        shutil.copytree(sound, inside)
        (inside / "train-images-idx3-ubyte").unlink()
        path = put(inside / f"train-images-idx3-ubyte{suffix}", content)
        yield "idx", name, path


def special(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    """What is no file: links, folders, pipes, devices."""
    readers = {
        "weights": (".pth", ".safetensors"),
        "neural": (".mat", ".npz", ".h5", ".nc", ".nwb", ".csv", ".npy"),
        "features": (".h5", ".npz"),
        "picture": (".png", ".jpg"),
        "activity": (".npz",),
        "trials": (".csv",),
        "distributions": (".csv",),
    }
    for reader, suffixes in readers.items():
        for suffix in suffixes:
            path = work / f"{reader}{suffix}"
            path.symlink_to(path.name)
            yield reader, f"loop {suffix}", path
            path.unlink()
            path.symlink_to("nowhere")
            yield reader, f"nowhere {suffix}", path
            path.unlink()
            for device in ("/dev/zero", "/dev/full", "/dev/null"):
                path.symlink_to(device)
                yield reader, f"{device} {suffix}", path
                path.unlink()
            os.mkfifo(path)
            yield reader, f"pipe {suffix}", path
            path.unlink()
            path.mkdir()
            yield reader, f"folder {suffix}", path
            path.rmdir()
            raw = Path(os.fsdecode(os.fsencode(work) + b"/\xff" + suffix.encode()))
            yield reader, f"not UTF-8 {suffix}", put(raw, b"abc")


def texts(work: Path, _: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    trial = "subj,session,trial,rt,object_response,category,condition,imagename\n"
    heads = {"neural": "stimulus_id,n0,n1\n", "trials": trial, "distributions": "f1_f0_ratio,b\n"}
    bodies = {
        "nothing": b"",
        "NUL": b"a,\0,1\n" * 3,
        "not UTF-8": b"\xff\xfe,1,2\n",
        "quote": b'"' + b"x" * 10_000,
        "long cell": b"s0," + b"1" * 200_000 + b",2\n",
        "one long cell": b"s," + b"1" * 100_000 + b",2\n" + b"s,1,2\n" * 30_000,
        "infinite": b"s0,inf,1e999\n",
        "cells": b"s0" + b",1" * 200_000 + b"\n",
        "few cells": b"s0\n",
        "empty": b",,\n,,\n",
    }
    for (reader, head), (name, body) in itertools.product(heads.items(), bodies.items()):
        yield reader, f"{name}", put(work / f"{reader}.csv", head.encode() + body)
        yield reader, f"{name} alone", put(work / f"{reader}.csv", body)


def runs(work: Path, named: dict[str, Path]) -> Iterator[tuple[str, str, Path]]:
    contents: dict[str, bytes | None] = {
        "{}": b"{}",
        "[]": b"[]",
        "null": b"null",
        "text": b'"x"',
        "nested": b"[" * 100_000,
        "objects": b'{"a":' * 50_000,
        "empty": b"",
        "NUL": bytes(100),
        "not UTF-8": b"\xff\xfe",
        "digits": b'{"step": ' + b"1" * 5000 + b"}",
        "config 3": b'{"config": 3, "resolved": 4}',
        "config []": b'{"config": [], "resolved": {}}',
        "model": b'{"model": {"name": "resnet18"}, "provenance": {}}',
        "model 3": b'{"model": 3}',
        "folder": None,
        "link": b"",
        "pipe": b"",
        "zero": b"",
    }
    runs = named["config.json"].parent.parent
    tasks = itertools.cycle(("classification", "stdp", "rdm"))
    files = ("config.json", "results.json", "metrics.jsonl", "checkpoints", "report", "lock")
    for (name, content), file in itertools.product(contents.items(), files):
        root = work / "runs"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(runs, root)
        one = root / next(tasks)
        path = one / file
        path.unlink(missing_ok=True)
        if content is None:
            (path / "inside").mkdir(parents=True)
        elif name == "link":
            path.symlink_to(file)
        elif name == "pipe":
            os.mkfifo(path)
        elif name == "zero":
            path.symlink_to("/dev/zero")
        else:
            path.write_bytes(content)
        yield "run", f"{one.name} {file} {name}", one / "config.json"
    values = (None, [], "x", 1e99, -5, {"a": 1}, 10**30, ...)
    for task in ("classification", "stdp", "rdm"):
        whole = json.loads((runs / task / "config.json").read_text())
        for value, (section, key) in itertools.product(values, _keys(whole["config"])):
            root = work / "runs"
            shutil.rmtree(root, ignore_errors=True)
            shutil.copytree(runs, root)
            config = json.loads(json.dumps(whole))
            _set(config["config"], section, key, value)
            (root / task / "config.json").write_text(json.dumps(config))
            yield "run", f"{task} {section}.{key}={value}", root / task / "config.json"


def _keys(config: dict[str, Any]) -> list[tuple[str, str]]:
    keys = [("", section) for section in sorted(config)]
    inner = (("population", "grid"), ("population", "seeds"), ("spiking", "filters"))
    return [*keys, *(pair for pair in inner if pair[0] in config)]


def _set(config: dict[str, Any], section: str, key: str, value: Any) -> None:
    inner = config[section] if section else config
    if value is ...:
        del inner[key]
    else:
        inner[key] = value

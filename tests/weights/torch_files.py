"""Files as PyTorch writes them, and as nobody would, made by hand without PyTorch."""

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def ramp(*shape):
    return (np.arange(np.prod(shape, dtype=int), dtype=np.float32) / 8).reshape(shape)


def text(value):
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def integer(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def integer_of(value):
    return b"\x8a\x0c" + value.to_bytes(12, "little", signed=True)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def call(name, *arguments):
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode() + tuple_of(*arguments) + b"R"


def storage(numel=6, kind="FloatStorage", key="0", view=None):
    name = f"ctorch\n{kind}\n".encode()
    view = [] if view is None else [view]
    return tuple_of(text("storage"), name, text(key), text("cpu"), integer(numel), *view) + b"Q"


def sizes(*numbers):
    return tuple_of(*(integer(n) for n in numbers))


def tensor(stored, offset=0, size=(2, 3), stride=(3, 1)):
    return call(
        "torch._utils._rebuild_tensor_v2",
        stored,
        integer(offset),
        sizes(*size),
        sizes(*stride),
        b"\x89",
        call("collections.OrderedDict"),
    )


def state_dict(**values):
    items = b"".join(text(key) + value for key, value in values.items())
    return b"\x80\x02}(" + items + b"u."


def zip_file(path, described, storages=None, root="archive", compression=0, **members):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{root}/data.pkl", described)
        for key, raw in ({"0": ramp(6).tobytes()} if storages is None else storages).items():
            archive.writestr(f"{root}/data/{key}", raw)
        for name, raw in members.items():
            archive.writestr(f"{root}/{name}", raw)
    return path


def legacy_file(path, described, storages=None):
    if storages is None:
        storages = {"0": ramp(6)} if text("storage") in described else {}
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True})]
    parts += [described, pickle.dumps(list(storages), 2)]
    parts += [struct.pack("<q", len(values)) + values.tobytes() for values in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


def tar_file(path, members):
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def oldest_members(described):
    """Storage 1 (six numbers), its view 2 (from the fourth on), tensor 10 in 1, tensor 20 in 2."""
    kind = b"ctorch\nFloatStorage\n"
    stored = pickle.dumps(1, 2) + b"\x80\x02" + tuple_of(integer(1), text("cpu"), kind) + b"."
    stored += struct.pack("<q", 6) + ramp(6).tobytes() + pickle.dumps([(2, 1, 3, 3)], 2)
    tensors = pickle.dumps(2, 2)
    for key, owner, size, stride in ((10, 1, (2, 3), (3, 1)), (20, 2, (3,), (1,))):
        entry = tuple_of(integer(key), integer(owner), b"ctorch\nFloatTensor\n")
        rank = len(size)
        tensors += b"\x80\x02" + entry + b"." + struct.pack("<q", rank)
        tensors += struct.pack(f"<{2 * rank + 1}q", *size, *stride, 0)
    return {"storages": stored, "tensors": tensors, "pickle": described}

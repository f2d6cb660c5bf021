"""The torch-free reader: damaged and foreign containers, and large ones."""

import os
import pickle
import random
import struct
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from jaxbio.weights.reader import CorruptCheckpointError, ForbiddenContentError, read_torch
from tests.weights.torch_files import (
    DATA,
    integer,
    legacy_file,
    oldest_members,
    ramp,
    state_dict,
    storage,
    tar_file,
    tensor,
    text,
    tuple_of,
    zip_file,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


def test_zip_bombs(path):
    described = state_dict(w=tensor(storage(2**24)))
    zip_file(path, described, {"0": bytes(2**26)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CorruptCheckpointError, match="larger than the file"):
        read_torch(path)
    zip_file(path, described, {"0": os.urandom(999)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CorruptCheckpointError, match="compressed"):
        read_torch(path)


def test_zip_that_misses_or_doubles_members(path):
    described = state_dict(w=tensor(storage()))
    zip_file(path, described, {})
    with pytest.raises(CorruptCheckpointError, match="lacks 'archive/data/0'"):
        read_torch(path)
    zip_file(path, described)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("archive/data.pkl", described)
    with pytest.raises(CorruptCheckpointError, match="same name"):
        read_torch(path)
    zip_file(path, described, **{"x/data.pkl": described})
    with pytest.raises(CorruptCheckpointError, match="not exactly one"):
        read_torch(path)


def test_damaged_tensor_data_are_noticed(path):
    raw = bytearray((DATA / "checkpoint_zip.pth").read_bytes())
    at = raw.index(ramp(2, 3, 3, 3).tobytes())
    raw[at + 9] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CorruptCheckpointError, match="CRC"):
        read_torch(path)


def test_legacy_sizes_that_lie(path):
    described = state_dict(w=tensor(storage()))
    for storages in ({"0": ramp(5)}, {}, {"1": ramp(6)}):
        legacy_file(path, described, storages)
        with pytest.raises(CorruptCheckpointError):
            read_torch(path)
    for view in ((text("9"), integer(4), integer(3)), (text("9"), integer(-1), integer(3)), ()):
        legacy_file(path, state_dict(w=tensor(storage(view=tuple_of(*view)), 0, (1,), (1,))))
        with pytest.raises(CorruptCheckpointError):
            read_torch(path)
    view = tuple_of(text("9"), integer(2), integer(3))
    legacy_file(path, state_dict(w=tensor(storage(view=view), 1, (3,), (1,))))
    with pytest.raises(CorruptCheckpointError, match="reaches to element 3"):
        read_torch(path)


def test_tar_that_lies(path):
    good = oldest_members(b"\x80\x02" + text("10") + b"Q.")
    bad = {
        "storages": good["storages"].replace(struct.pack("<q", 6), struct.pack("<q", 2**40)),
        "tensors": good["tensors"].replace(struct.pack("<q", 2), struct.pack("<q", 2**31 - 1)),
        "pickle": b"\x80\x02" + text("11") + b"Q.",
    }
    for member, raw in bad.items():
        assert raw != good[member]
        tar_file(path, good | {member: raw})
        with pytest.raises(CorruptCheckpointError):
            read_torch(path)
    tar_file(path, {"weights.txt": b"1"})
    with pytest.raises(CorruptCheckpointError, match=r"tar archive of 'weights\.txt'"):
        read_torch(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x93NUMPY\x01\x00", "npy"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b'{"a": 1}', "JSON"),
        (b"hello world", "starts with"),
        (pickle.dumps({"w": [1.0]}), "plain Python pickle"),
        (b"PK\x05\x06" + bytes(18), "zip archive of other things"),
    ],
)
def test_what_a_foreign_file_looks_like(content, message, path):
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpointError, match=message) as error:
        read_torch(path)
    assert str(path) in str(error.value)


def test_npz_and_torchscript(path):
    with pytest.raises(CorruptCheckpointError, match=r"TorchScript.*torch\.jit\.load"):
        read_torch(DATA / "torchscript.pt")
    with path.open("wb") as file:
        np.savez(file, a=ramp(3))
    with pytest.raises(CorruptCheckpointError, match="npz"):
        read_torch(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.pth: does not exist; give the path"):
        read_torch(tmp_path / "no.pth")
    with pytest.raises(FileNotFoundError, match="is a directory"):
        read_torch(tmp_path)


def damaged(raw, rng):
    raw = bytearray(raw)
    if rng.random() < 0.3:
        return raw[: rng.randrange(len(raw))]
    for _ in range(rng.choice([1, 1, 2, 8])):
        raw[rng.randrange(len(raw))] = rng.randrange(256)
    return raw


@pytest.mark.parametrize(
    "name", ["checkpoint_zip.pth", "tensors_zip.pth", "checkpoint_legacy.pth.tar", "oldest.tar"]
)
def test_fuzz_files(name, path):
    """Damage ends in one of the two errors, or passes where it hit nothing that can be checked."""
    if name == "oldest.tar":
        tar_file(path, oldest_members(b"\x80\x02" + text("10") + b"Q."))
    else:
        path.write_bytes((DATA / name).read_bytes())
    raw, rng, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        path.write_bytes(damaged(raw, rng))
        try:
            read_torch(path)
        except (CorruptCheckpointError, ForbiddenContentError):
            refused += 1
    assert refused > 60


def test_fuzz_the_pickle_inside(path):
    """The checksum of a zip member hides the pickle from byte flips; here it fits them."""
    with zipfile.ZipFile(DATA / "tensors_zip.pth") as archive:
        root = archive.namelist()[0].split("/")[0]
        members = {name.removeprefix(f"{root}/"): archive.read(name) for name in archive.namelist()}
    described = members.pop("data.pkl")
    rng, refused = random.Random(1), 0
    for _ in range(600):
        zip_file(path, bytes(damaged(described, rng)), {}, **members)
        try:
            read_torch(path)
        except (CorruptCheckpointError, ForbiddenContentError):
            refused += 1
    assert refused > 200


def test_large_file_is_read_quickly(path):
    count = 2**24  # 64 MiB in one storage, 2,000 tensors in it
    values = {f"w{i}": tensor(storage(count), i, (2, 3), (3, 1)) for i in range(2000)}
    for container, stored in (
        (zip_file, {"0": np.zeros(count, np.float32).tobytes()}),
        (legacy_file, {"0": np.zeros(count, np.float32)}),
    ):
        container(path, state_dict(**values), stored)
        start = time.process_time()
        assert len(read_torch(path)) == 2000
        assert time.process_time() - start < 3


def test_reads_without_torch_or_jax():
    script = (
        "import sys; from jaxbio.weights.reader import read_torch; read_torch(sys.argv[1]); "
        "assert not {'torch', 'jax', 'pickle5'} & set(sys.modules)"
    )
    arguments = [sys.executable, "-c", script, str(DATA / "checkpoint_zip.pth")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

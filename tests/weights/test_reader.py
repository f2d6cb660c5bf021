"""The torch-free reader: what PyTorch wrote."""

import os
import pickle
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from jaxbio.weights.reader import CorruptCheckpointError, read_torch
from tests.weights.torch_files import (
    DATA,
    call,
    integer,
    legacy_file,
    oldest_members,
    ramp,
    sizes,
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


@pytest.mark.parametrize(
    "name", ["checkpoint_zip.pth", "checkpoint_legacy.pth.tar", "protocol4.pth"]
)
def test_training_checkpoint(name):
    found = read_torch(DATA / name)
    assert (found["epoch"], found["arch"], found["best_prec1"]) == (7, "tiny", 12.5)
    assert found["args"] == {"lr": 0.1, "layers": [1, 2], "out": None}
    assert type(found["state_dict"]) is type(found["args"]) is dict
    state = found["state_dict"]
    assert list(state)[:2] == ["module.0.weight", "module.0.bias"]
    np.testing.assert_array_equal(state["module.0.weight"], ramp(2, 3, 3, 3))
    np.testing.assert_array_equal(state["module.1.running_var"], ramp(2))
    assert state["module.1.num_batches_tracked"].dtype == np.int64
    assert state["module.1.num_batches_tracked"].shape == ()
    assert found["optimizer"]["param_groups"][0]["momentum"] == 0.9
    assert found["optimizer"]["state"][0]["momentum_buffer"].shape == (2, 3, 3, 3)


@pytest.mark.parametrize("name", ["tensors_zip.pth", "tensors_legacy.pth.tar"])
def test_every_kind_of_tensor(name):
    found = read_torch(DATA / name)
    for key in ("float32", "float64", "float16", "bfloat16"):
        np.testing.assert_array_equal(found[key], ramp(2, 3))
        assert found[key].dtype == ("float32" if key == "bfloat16" else key)
    for key in ("int32", "int16", "int8"):
        assert found[key].dtype == key
        assert found[key].tolist() == [-3, 3]
    assert found["int64"].tolist() == [-(2**40), 5]
    assert found["uint8"].tolist() == [0, 255]
    assert found["bool"].tolist() == [True, False, True]
    np.testing.assert_array_equal(found["complex64"], ramp(2) - 1j * ramp(2))
    np.testing.assert_array_equal(found["conjugate"], ramp(2) + 1j * ramp(2))
    assert found["scalar"].shape == ()
    assert found["scalar"] == 2.5
    assert found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["transposed"], ramp(4, 6).T)
    np.testing.assert_array_equal(found["slice"], ramp(4, 6)[1:3, ::2])
    np.testing.assert_array_equal(found["expanded"], np.zeros((3, 2)))
    np.testing.assert_array_equal(found["parameter"], ramp(3))
    assert found["nested"] == [(2, 3), (None, True, 2.5, "text"), {3: "torch.float16"}]
    assert found["device"] == "cuda:1"
    assert np.shares_memory(found["base"], found["transposed"])
    assert np.shares_memory(found["base"], found["slice"])
    assert not found["base"].flags.writeable


def test_recent_types():
    found = read_torch(DATA / "recent_types.pth")
    assert found["uint16"].tolist() == [1, 65535]
    np.testing.assert_array_equal(found["float8"], ramp(4))
    np.testing.assert_array_equal(found["tagged"], ramp(3))


@pytest.mark.parametrize("name", ["tensors_zip.pth", "checkpoint_legacy.pth.tar", "protocol4.pth"])
def test_same_as_torch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; the files suffice")

    def compare(ours, theirs):
        if isinstance(theirs, torch.Tensor):
            theirs = theirs.detach().resolve_conj()
            wide = theirs.float() if theirs.dtype == torch.bfloat16 else theirs
            np.testing.assert_array_equal(ours, wide.numpy())
        elif isinstance(theirs, dict):
            assert list(ours) == list(theirs)
            for key in theirs:
                compare(ours[key], theirs[key])
        elif isinstance(theirs, (list, tuple)):
            assert len(ours) == len(theirs)
            for pair in zip(ours, theirs, strict=True):
                compare(*pair)
        elif not isinstance(theirs, (torch.dtype, torch.device)):
            assert ours == (vars(theirs) if hasattr(theirs, "__dict__") else theirs)

    # Trusted: the file is part of this repository. The namespace in it needs the full unpickler.
    compare(read_torch(DATA / name), torch.load(DATA / name, weights_only=False))


def test_published_v2_weights():
    if "JAXBIO_DATA_DIR" not in os.environ:
        pytest.skip("JAXBIO_DATA_DIR does not say where svp/vtwoweight.pth is")
    found = read_torch(Path(os.environ["JAXBIO_DATA_DIR"]) / "svp" / "vtwoweight.pth")
    assert found["weight"].shape == (192, 64, 5, 5)
    assert found["bias"].shape == (192,)
    assert found["weight"].sum(dtype=np.float64) == pytest.approx(-969.511, abs=1e-2)
    assert found["bias"].sum(dtype=np.float64) == pytest.approx(0.401495, abs=1e-5)


def test_oldest_tar_format(path):
    tar_file(
        path,
        oldest_members(
            b"\x80\x02}(" + text("a") + text("10") + b"Q" + text("b") + text("20") + b"Qu."
        ),
    )
    found = read_torch(path)
    np.testing.assert_array_equal(found["a"], ramp(2, 3))
    np.testing.assert_array_equal(found["b"], ramp(6)[3:])
    assert np.shares_memory(found["a"], found["b"])


def test_legacy_view_of_a_storage(path):
    view = tuple_of(text("9"), integer(2), integer(3))
    described = state_dict(w=tensor(storage(view=view), 1, (2,), (1,)))
    np.testing.assert_array_equal(read_torch(legacy_file(path, described))["w"], ramp(6)[3:5])


def test_any_archive_root_and_big_endian(path):
    big = {"0": ramp(6).astype(">f4").tobytes()}
    described = state_dict(w=tensor(storage()))
    zip_file(path, described, big, root="model best (2)", byteorder=b"big")
    np.testing.assert_array_equal(read_torch(path)["w"], ramp(2, 3))
    bits = {"0": struct.pack(">6H", *(ramp(6).view(np.uint32) >> 16))}
    zip_file(path, state_dict(w=tensor(storage(kind="BFloat16Storage"))), bits, byteorder=b"big")
    np.testing.assert_array_equal(read_torch(path)["w"], ramp(2, 3))
    zip_file(path, described, byteorder=b"middle")
    with pytest.raises(CorruptCheckpointError, match="unknown byte order"):
        read_torch(path)


def test_bool_bytes_other_than_0_and_1(path):
    described = state_dict(w=tensor(storage(3, "BoolStorage"), 0, (3,), (1,)))
    found = read_torch(zip_file(path, described, {"0": b"\x00\x01\x02"}))["w"]
    assert found.view(np.uint8).tolist() == [0, 1, 1]


def test_numpy_values(path):
    content = {
        "best": np.float64(71.25),
        "half": np.float16(0.5),
        "flag": np.bool_(True),
        "table": np.arange(6, dtype=">i4").reshape(2, 3),
        "fortran": np.asfortranarray(ramp(2, 3)),
        "none": np.zeros((0, 2)),
        "names": {"a", "b"},
        "raw": b"\x00\xff",
        "where": Path("a/b"),
    }
    for protocol in range(5):
        found = read_torch(zip_file(path, pickle.dumps(content, protocol)))
        assert (found["best"], found["half"], found["flag"]) == (71.25, 0.5, True)
        np.testing.assert_array_equal(found["table"], content["table"])
        np.testing.assert_array_equal(found["fortran"], content["fortran"])
        assert found["none"].shape == (0, 2)
        assert found["names"] == {"a", "b"}
        assert (found["raw"], found["where"]) == (b"\x00\xff", "a/b")


@pytest.mark.parametrize("protocol", range(6))
def test_plain_content_reads_as_pickle_reads_it(protocol, path):
    rng = random.Random(protocol)

    def value(depth):
        if depth and rng.random() < 0.6:
            items = [value(depth - 1) for _ in range(rng.randrange(5))]
            keys = [rng.choice([i, str(i), -i / 3, (i, "k"), None]) for i in range(len(items))]
            return rng.choice([items, tuple(items), dict(zip(keys, items, strict=True)), items])
        return rng.choice(
            [None, True, False, 0, 255, 65536, -1, 2**31, -(2**70), 0.1, -1e300, "", "\u00e9\n\\",
             "\U0001f9e0" * 99, b"", b"\x00\xff" * 200, {1, "a"}, frozenset({2.5}), 1 + 2j]
        )  # fmt: skip

    for _ in range(40):
        content = [value(5), value(5)]
        assert read_torch(zip_file(path, pickle.dumps(content, protocol))) == content


def test_written_by_python_2(path):
    # {'weight': tensor, 'best': numpy scalar}, with str opcodes.
    dtype = call("numpy.dtype", b"U\x02f8", b"K\x00", b"K\x01")
    dtype += tuple_of(b"K\x03", b"U\x01<", b"N", b"N", b"N", b"J\xff\xff\xff\xff", b"K\x00") + b"b"
    raw = struct.pack("<d", 71.25)
    best = call("numpy.core.multiarray.scalar", dtype, b"U\x08" + raw)
    tensor_pickle = tensor(storage()).replace(text("storage"), b"U\x07storage")
    described = b"\x80\x02}(U\x06weight" + tensor_pickle + b"S'best\\x31'\n" + best + b"u."
    found = read_torch(legacy_file(path, described, {"0": ramp(6)}))
    assert found["best1"] == 71.25
    np.testing.assert_array_equal(found["weight"], ramp(2, 3))


def test_tensor_state_of_pytorch_0_1(path):
    state = tuple_of(storage(), integer(0), sizes(2, 3), sizes(3, 1))
    described = state_dict(w=b"ctorch\nFloatTensor\n)\x81" + state + b"b")
    np.testing.assert_array_equal(read_torch(legacy_file(path, described))["w"], ramp(2, 3))

"""The torch-free reader: what PyTorch wrote, and what an attacker or an accident would write."""

import ast
import io
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxbio.files import pickle_values, pickles
from jaxbio.weights import reader
from jaxbio.weights.reader import CorruptCheckpointError, ForbiddenContentError, read_torch

DATA = Path(__file__).parent / "data"
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def ramp(*shape):
    return (np.arange(np.prod(shape, dtype=int), dtype=np.float32) / 8).reshape(shape)


# Pickles by hand -------------------------------------------------------------------------------


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


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file.pth"


# What PyTorch wrote ----------------------------------------------------------------------------


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


# Attacks ---------------------------------------------------------------------------------------

# Twelve lists, each ten times the one before; the last is memo entry 12.
UNFOLDS = b"](" + b"K\x01" * 10 + b"eq\x00" + b"".join(
    b"0](" + b"h%c" % i * 10 + b"eq%c" % (i + 1) for i in range(12)
)  # fmt: skip
FORBIDDEN = {
    "os.system": call("os.system", text("touch executed")),
    "posix.system": call("posix.system", text("touch executed")),
    "builtins.eval": call("builtins.eval", text("open('executed', 'w')")),
    "builtins.exec": call("__builtin__.exec", text("open('executed', 'w')")),
    "builtins.getattr": call("builtins.getattr", b"N", text("x")),
    "STACK_GLOBAL": text("os") + text("system") + b"\x93" + tuple_of(text("touch executed")) + b"R",
    "dotted name": text("torch") + text("serialization.os.system") + b"\x93)R",
    "INST": b"(" + text("touch executed") + b"ios\nsystem\n",
    "OBJ": b"(cos\nsystem\n" + text("touch executed") + b"o",
    "NEWOBJ": b"csubprocess\nPopen\n" + tuple_of(text("touch executed")) + b"\x81",
    "NEWOBJ_EX": b"csubprocess\nPopen\n)}\x92",
    "from the memo": b"cos\nsystem\nq\x000h\x00" + tuple_of(text("touch executed")) + b"R",
    "only mentioned": b"ctorch.nn.modules.linear\nLinear\n",
    "nested pickle": call("torch.storage._load_from_bytes", b"B\x00\x00\x00\x00"),
    "as a factory": call("collections.defaultdict", b"cos\nsystem\n"),
    "as an OrderedDict's items": call("collections.OrderedDict", b"cos\nsystem\n"),
    "in a namespace": b"cargparse\nNamespace\n)\x81}(" + text("a") + b"cos\nsystem\nub",
    "next buffer": b"\x97",
    "EXT1": b"\x82\x01",
    "EXT2": b"\x83\x01\x00",
    "EXT4": b"\x84\x01\x00\x00\x00",
    "calling a mere name": call("torch.float32"),
    "object dtype": call("numpy.dtype", text("O8"), b"K\x00", b"K\x01"),
    "text dtype": call("numpy.dtype", text("U8"), b"K\x00", b"K\x01"),
    "other class through copyreg": call(
        "copyreg._reconstructor", b"cnumpy\nndarray\n", b"cbuiltins\nobject\n", b"N"
    ),
    "whole model in a persistent id": tuple_of(text("module"), b"cmodels\nNet\n", b"N", b"N")
    + b"Q",
}


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("container", [zip_file, legacy_file])
def test_forbidden(name, container, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    attack = FORBIDDEN[name]
    for placed in (attack, b"]" + attack + b"a", tuple_of(tensor(storage()), attack)):
        container(path, b"\x80\x02" + placed + b".")
        with pytest.raises(ForbiddenContentError) as error:
            read_torch(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
    assert not Path("executed").exists()


def test_forbidden_names_the_global(path):
    zip_file(path, b"\x80\x02" + call("os.system", text("true")) + b".")
    with pytest.raises(ForbiddenContentError, match=r"'os\.system'.*state_dict"):
        read_torch(path)
    path.write_bytes(b"\x80\x02" + call("os.system", text("true")) + b".")  # no container at all
    with pytest.raises(ForbiddenContentError, match=r"'os\.system'"):
        read_torch(path)
    long = "x" * 5000 + "\x1b[31m"
    zip_file(path, b"\x80\x02" + text("os") + text(long) + b"\x93.")
    with pytest.raises(ForbiddenContentError) as error:
        read_torch(path)
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


def test_forbidden_in_every_part_of_the_old_formats(path):
    attack = b"\x80\x02" + call("os.system", text("true")) + b"."
    start = pickle.dumps(MAGIC, 2) + pickle.dumps(PROTOCOL, 2)
    for content in (start + attack, start + pickle.dumps({}, 2) * 2 + attack):
        path.write_bytes(content)
        with pytest.raises(ForbiddenContentError, match=r"os\.system"):
            read_torch(path)
    good = oldest_members(b"\x80\x02" + text("10") + b"Q.")
    for member in good:
        tar_file(path, good | {member: attack})
        with pytest.raises(ForbiddenContentError, match=r"os\.system"):
            read_torch(path)


def test_real_pickled_objects_are_refused_without_effect(path, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    for protocol in range(6):
        zip_file(path, pickle.dumps({"state_dict": [Attack()]}, protocol))
        with pytest.raises(ForbiddenContentError, match="mkdir"):
            read_torch(path)
    assert not (tmp_path / "executed").exists()
    pickle.loads(pickle.dumps(Attack()))  # the attack does work elsewhere
    assert (tmp_path / "executed").exists()


class Layer:
    """Stands for a class that jaxbio does not know, as a pickled network is made of."""

    def __init__(self):
        self.weight, self.owner = ramp(2, 3), None


def test_unknown_classes_become_records_on_request(path):
    layer, network = Layer(), Layer()
    layer.owner, network.layers = network, {"first": layer}  # each knows the other
    for protocol in range(6):
        zip_file(path, pickle.dumps({"net": network, "epoch": 3}, protocol))
        with pytest.raises(ForbiddenContentError, match=r"test_reader\.Layer"):
            read_torch(path)
        found = read_torch(path, unknown=True)
        assert found["epoch"] == 3
        assert found["net"].name.endswith("test_reader.Layer")
        assert type(found["net"]) is not Layer
        first = found["net"].state["layers"]["first"]
        np.testing.assert_array_equal(first.state["weight"], ramp(2, 3))
        assert first.state["owner"] is found["net"]


def test_tree_of_modules_in_the_legacy_format(path):
    """torch.save(network): the persistent id of a class carries the text of its program."""
    kind = tuple_of(text("module"), b"cnets\nConv\n", text("nets.py"), text("import os")) + b"Q"
    weights = b"}" + text("w") + tensor(storage()) + b"s"
    described = b"\x80\x02" + kind + b")\x81}" + text("_parameters") + weights + b"sb."
    found = read_torch(legacy_file(path, described), unknown=True)
    assert found.name == "nets.Conv"
    np.testing.assert_array_equal(found.state["_parameters"]["w"], ramp(2, 3))
    with pytest.raises(ForbiddenContentError, match=r"nets\.Conv"):
        read_torch(path)


@pytest.mark.parametrize("container", [zip_file, legacy_file])
def test_attacks_are_inert_records_too(container, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for attack in ("os.system", "builtins.eval", "from the memo", "NEWOBJ", "OBJ", "INST"):
        container(tmp_path / "evil.pth", FORBIDDEN[attack] + b".")
        assert type(read_torch("evil.pth", unknown=True)).__name__ == "Record"
    assert not (tmp_path / "executed").exists()


def test_tensors_that_no_array_holds_stay_beside_the_others(path):
    sparse = call(
        "torch._utils._rebuild_sparse_tensor",
        call("torch.serialization._get_layout", text("torch.sparse_coo")),
        tuple_of(tensor(storage()), tensor(storage()), sizes(3, 3)),
    )
    meta = call(
        "torch._utils._rebuild_meta_tensor_no_storage", b"ctorch\nfloat32\n", sizes(3), sizes(1)
    )
    zip_file(path, state_dict(a=sparse, b=meta, w=tensor(storage())))
    found = read_torch(path)
    np.testing.assert_array_equal(found["w"], ramp(2, 3))
    assert found["a"].args[0] == "torch.sparse_coo"
    assert found["b"].args[1] == (3,)


def test_checksum_that_was_not_recorded(path):
    """torch.serialization.set_crc32_options(False) stores 0."""
    raw = zip_file(path, state_dict(w=tensor(storage()))).read_bytes()
    for member in zipfile.ZipFile(path).infolist():
        assert raw.count(struct.pack("<I", member.CRC)) == 2
        raw = raw.replace(struct.pack("<I", member.CRC), bytes(4))
    path.write_bytes(raw)
    np.testing.assert_array_equal(read_torch(path)["w"], ramp(2, 3))


def test_nothing_in_the_reader_can_execute():
    for module in (pickles, pickle_values, reader):
        source = Path(module.__file__).read_text()
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        assert not names & {"eval", "exec", "__import__", "compile"}
        imported = {
            alias.name
            for node in ast.walk(ast.parse(source))
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
        assert not imported & {"importlib", "subprocess", "torch", "marshal"}
        used = {
            node.attr
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "pickle"
        }
        assert used <= {"Unpickler"}  # the class whose find_class is ours


CORRUPT_PICKLES = {
    "empty stack": b".",
    "empty": b"",
    "unknown opcode": b"\xff.",
    "calls a number": b"K\x01)R.",
    "arguments that are no tuple": b"ctorch\nSize\nK\x01R.",
    "wrong arguments": call("torch._utils._rebuild_tensor_v2") + b".",
    "keyword arguments": b"ctorch\nSize\n)}K\x01K\x02s\x92.",
    "unhashable key": b"}]K\x01s.",
    "deep key": b"}" + b")" + b"\x85" * 10 + b"K\x01s.",
    "append to a dict": b"}K\x01a.",
    "item of a list": b"]K\x01K\x02s.",
    "add to a list": b"](K\x01\x90.",
    "list in a set": b"\x8f(]\x90.",
    "contains itself": b"]q\x00h\x00a.",
    "contains itself through a dict": b"}q\x00K\x01h\x00s.",
    "contains itself through a tuple": b"]q\x00h\x00\x85q\x01a.",
    "string past the end": b"X\xff\xff\xff\x7fab.",
    "string of enormous length": b"\x8d" + b"\xff" * 8 + b".",
    "enormous number": b"L" + b"9" * 5000 + b"L\n.",
    "enormous binary number": b"\x8b" + struct.pack("<i", 5000) + b"\x01" * 5000 + b".",
    "global name that is no string": b"K\x01K\x02\x93.",
    "persistent id of text": b"Pabc\n.",
    "persistent id of a number": b"K\x01Q.",
    "persistent id of a list": b"]Q.",
    "persistent id of nothing": b")Q.",
    "unknown persistent id": tuple_of(text("thing"), *[b"N"] * 4) + b"Q.",
    "storage of no type": tuple_of(text("storage"), b"N", text("0"), text("cpu"), b"K\x06") + b"Q.",
    "storage of a dtype": storage(kind="float32") + b".",
    "storage of a negative size": storage(-6) + b".",
    "storage of enormous size": storage(2**63) + b".",
    "storage missing": storage(key="7") + b".",
    "storage outside of the archive": storage(key="../../../etc/passwd") + b".",
    "storage of other size": storage(7) + b".",
    "two sizes of a storage": storage(6) + storage(7) + b"\x86.",
    "storage size is true": storage().replace(integer(6), b"\x88") + b".",
    "tensor of a number": tensor(b"K\x01") + b".",
    "offset past the end": tensor(storage(), 1) + b".",
    "negative offset": tensor(storage(), -1) + b".",
    "size past the end": tensor(storage(), 0, (3, 3)) + b".",
    "negative size": tensor(storage(), 0, (-2, 3)) + b".",
    "stride past the end": tensor(storage(), 0, (2, 3), (4, 1)) + b".",
    "negative stride": tensor(storage(), 5, (2, 3), (-3, -1)) + b".",
    "overflowing stride": tensor(storage(), 0, (3, 3), (2**61, 2**61)) + b".",
    "overflowing size": tensor(storage(), 0, (2**32, 2**32), (0, 0)) + b".",
    "empty, of overflowing size": tensor(storage(), 0, (0, 2**61, 2**61), (1, 1, 1)) + b".",
    "repeats a number 2**40 times": tensor(storage(), 0, (2**40,), (0,)) + b".",
    "rank 70": tensor(storage(), 0, (1,) * 70, (1,) * 70) + b".",
    "fewer strides": tensor(storage(), 0, (2, 3), (1,)) + b".",
    "parameter of a list": call("torch._utils._rebuild_parameter", b"]", b"\x88", b"N") + b".",
    "Counter of a list": call("collections.Counter", b"]") + b".",
    "text encoded otherwise": call("_codecs.encode", text("a"), text("rot13")) + b".",
    "namespace without names": b"cargparse\nNamespace\n)\x81K\x01b.",
    "numpy data of wrong length": call(
        "numpy.core.multiarray.scalar",
        call("numpy.dtype", text("f8"), b"K\x00", b"K\x01"),
        b"C\x07abcdefg",
    )
    + b".",
    "numpy data without bytes": call(
        "numpy.core.multiarray.scalar", call("numpy.dtype", text("f8"), b"K\x00", b"K\x01"), b"N"
    )
    + b".",
    "memo index that a table would have to reach": b"]r\xff\xff\xff\xff.",
    "state of a list": b"]}b.",
    "state of a global": b"ctorch\nFloatStorage\n}b.",
    "attributes of a global": b"ctorch\nFloatStorage\nN}X\x01\x00\x00\x00aNs\x86b.",
    "items of a global": b"ctorch\nSize\n(NNe.",
    "deep element": b"\x8f(" + b")" + b"\x85" * 100_000 + b"\x90.",
    "key that doubles": b"})" + b"".join(b"q%ch%c\x86" % (i, i) for i in range(60)) + b"Ns.",
    "device of an object that unfolds": b"(" + UNFOLDS + call("torch.device", b"h\x0c") + b"t.",
    "key of a hundred parts": b"}(" + b"K\x01" * 100 + b"tK\x01s.",
    "tensor_v3 without a dtype": call("torch._utils._rebuild_tensor_v3", *[b"N"] * 6) + b".",
    "enormous float": b"F" + b"9" * 5000 + b"\n.",
    "unfolds to 10**12 parts": UNFOLDS + b".",
}


@pytest.mark.parametrize("name", CORRUPT_PICKLES)
@pytest.mark.parametrize("container", [zip_file, legacy_file])
def test_corrupt_pickle(name, container, path):
    container(path, CORRUPT_PICKLES[name])
    with pytest.raises(CorruptCheckpointError) as error:
        read_torch(path)
    assert str(error.value).startswith(f"{path}: ")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "bomb",
    [
        b"]" * 200_000 + b"a" * 199_999 + b".",  # lists in lists
        b")" + b"\x85" * 200_000 + b".",  # tuples in tuples
        b"}" + b"K\x01}" * 50_000 + b"s" * 50_000 + b".",
        b"(" * 200_000 + b".",
        # One long text, encoded again and again.
        b"]X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x000"
        + (b"c_codecs\nencode\nh\x00" + text("latin1") + b"\x86Ra") * 5_000 + b".",
        # One long list made a set again and again, one long tuple passed again and again.
        b"](" + b"K\x01" * 10**5 + b"eq\x000cbuiltins\nset\nq\x010("
        + b"h\x01h\x00\x85R" * 10**4 + b"l.",
        b"(" + b"N" * 10**5 + b"tq\x000ctorch\nSize\nq\x010(" + b"h\x01h\x00R" * 10**4 + b"l.",
        # Keys of one hash, which a dict would compare with each other.
        b"}(" + b"".join(integer_of(i * (2**61 - 1)) + b"N" for i in range(10**5)) + b"u.",
    ],
    ids=["lists", "tuples", "dicts", "marks", "copies", "sets", "arguments", "hashes"],
)  # fmt: skip
def test_bombs_are_cheap(bomb, path):
    start = time.process_time()
    with pytest.raises(CorruptCheckpointError):
        read_torch(zip_file(path, bomb))
    assert time.process_time() - start < 5


def test_too_many_operations(path, monkeypatch):
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 100)
    with pytest.raises(CorruptCheckpointError, match="operations"):
        read_torch(zip_file(path, b"N0" * 100 + b"N."))


# Damaged and foreign containers ----------------------------------------------------------------


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

"""The torch-free reader: what an attacker would write."""

import ast
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxbio.files import pickle_values, pickles
from jaxbio.weights import reader
from jaxbio.weights.reader import CorruptCheckpointError, ForbiddenContentError, read_torch
from tests.weights.torch_files import (
    MAGIC,
    PROTOCOL,
    call,
    integer,
    integer_of,
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
        with pytest.raises(ForbiddenContentError, match=r"test_reader_attacks\.Layer"):
            read_torch(path)
        found = read_torch(path, unknown=True)
        assert found["epoch"] == 3
        assert found["net"].name.endswith("test_reader_attacks.Layer")
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

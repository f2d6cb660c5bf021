"""`jaxbio weights`: listing, converting, and errors on one line."""

import hashlib
import json
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxbio.commands.main import main
from jaxbio.models import list_models
from jaxbio.ops.images import Preprocessing
from jaxbio.weights import WeightMismatchError, from_torch
from jaxbio.weights.reader import read_torch

DATA = Path(__file__).parent / "data"
MODEL = {"num_classes": 7, "image_size": 32}


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def numbers(*values):
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def save(path, state_dict, epoch=3):
    """Write {"epoch": ..., "state_dict": ...} as torch.save does."""
    items = b""
    for key, (name, array) in enumerate(state_dict.items()):
        strides = [s // array.itemsize for s in np.ascontiguousarray(array).strides]
        items += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage")
        items += b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
        items += b"J" + struct.pack("<i", array.size) + b"tQK\x00" + numbers(*array.shape)
        items += numbers(*(strides if array.ndim else ())) + b"\x89}tR"
    described = b"\x80\x02}(" + text("epoch") + b"K" + bytes([epoch])
    described += text("state_dict") + b"}(" + items + b"uu."
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", described)
        for key, array in enumerate(state_dict.values()):
            archive.writestr(f"archive/data/{key}", np.ascontiguousarray(array).tobytes())


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A complete checkpoint; the converter itself says which tensors the model wants."""
    name = "squeezenet1_1"
    with pytest.raises(WeightMismatchError) as missing:
        from_torch(name, {}, **MODEL)
    names = missing.value.report.missing
    with pytest.raises(WeightMismatchError) as shapes:
        from_torch(name, dict.fromkeys(names, np.zeros((9, 9, 9), np.float32)), **MODEL)
    rng = np.random.default_rng(0)
    wanted = {key: wanted for key, (_, wanted) in shapes.value.report.mismatched.items()}
    state_dict = {key: rng.normal(size=wanted[key]).astype(np.float32) for key in names}
    path = tmp_path_factory.mktemp("weights") / "tiny.pth.tar"
    save(path, {f"module.{key}": value for key, value in state_dict.items()})
    return path


def fails(capsys, *arguments):
    """Run it and return the one line that it prints on stderr."""
    assert main(["weights", *map(str, arguments)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("jaxbio weights: error: ")
    assert err.count("\n") == 1
    return err


def test_list(capsys):
    assert main(["weights", str(DATA / "checkpoint_zip.pth"), "--list"]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert ["state_dict/module.0.weight", "2x3x3x3", "float32"] in rows
    assert ["state_dict/module.1.num_batches_tracked", "scalar", "int64"] in rows
    assert "epoch: 7" in out
    assert "state_dict: 7 tensors with 65 numbers" in out


def test_list_shows_no_control_characters(tmp_path, capsys):
    save(tmp_path / "odd.pth", {"a\x1b[31m\nb": np.zeros(2, np.float32)})
    main(["weights", str(tmp_path / "odd.pth"), "--list"])
    assert "a?[31m?b" in capsys.readouterr().out


@pytest.mark.slow
def test_converts_into_a_run_directory(checkpoint, tmp_path, capsys, monkeypatch):
    import jaxbio.runs.checkpoints as checkpointing

    calls = []

    def export_variables(workdir, model_config, variables, *, preprocessing, provenance):
        calls.append((workdir, model_config, variables, preprocessing, provenance))

    monkeypatch.setattr(checkpointing, "export_variables", export_variables)
    output = str(tmp_path / "run")
    main(
        [
            "weights",
            str(checkpoint),
            "--model=squeezenet1_1",
            "--image_size=32",
            f"--output={output}",
        ]
    )
    ((workdir, config, variables, preprocessing, provenance),) = calls
    assert workdir == output
    assert config == {
        "name": "squeezenet1_1",
        "num_classes": 7,  # found in the classifier
        "image_size": 32,
        "front_end": "none",
        "front_end_options": {},
        "activation": "relu",
    }
    assert preprocessing == Preprocessing(32, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    state_dict = read_torch(checkpoint)["state_dict"]
    assert provenance == {
        "source": "tiny.pth.tar",
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "converted_tensors": len(state_dict),
    }
    expected = from_torch("squeezenet1_1", state_dict, **MODEL)
    import jax

    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), variables, expected))
    out = capsys.readouterr().out
    assert "epoch: 3" in out
    assert f"{len(state_dict)} tensors converted" in out


def test_run_directory_is_written(checkpoint, tmp_path, capsys):
    output = tmp_path / "run"
    arguments = [checkpoint, "--model=squeezenet1_1", "--image_size=32", f"--output={output}"]
    assert main(["weights", *map(str, arguments)]) == 0
    config = json.loads((output / "config.json").read_text())
    assert config["model"]["num_classes"] == 7
    assert config["preprocessing"]["image_size"] == 32
    assert config["provenance"]["source"] == "tiny.pth.tar"
    assert "not empty" in fails(capsys, *arguments)


def test_mismatch_is_one_short_line(checkpoint, tmp_path, capsys):
    arguments = ["--model=squeezenet1_0", "--image_size=32", f"--output={tmp_path / 'run'}"]
    err = fails(capsys, checkpoint, *arguments)
    assert "do not fit" in err
    assert "more; --no-strict" in err
    assert len(err) < 600
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_no_strict_lists_everything(tmp_path, capsys, checkpoint):
    state_dict = dict(read_torch(checkpoint)["state_dict"])
    state_dict["module.features.0.bias"] = np.zeros(3, np.float32)
    del state_dict["module.features.0.weight"]
    save(tmp_path / "partial.pth", state_dict | {"module.extra": np.zeros(2, np.float32)})
    arguments = [str(tmp_path / "partial.pth"), "--model=squeezenet1_1", "--image_size=32"]
    main(["weights", *arguments, "--no-strict", f"--output={tmp_path / 'run'}"])
    out = capsys.readouterr().out
    assert "missing: features.0.weight" in out
    assert "unexpected: extra" in out
    assert "wrong shape: features.0.bias is (3,), needs (64,)" in out
    assert f"{len(state_dict) - 1} tensors converted" in out


def test_no_strict_with_nothing_that_fits(tmp_path, capsys):
    save(tmp_path / "other.pth", {"something": np.zeros(2, np.float32)})
    arguments = ["--model=cornet_z", "--num_classes=7", "--image_size=32", "--no-strict"]
    err = fails(capsys, tmp_path / "other.pth", *arguments, f"--output={tmp_path / 'run'}")
    assert "no tensor in the file fits cornet_z" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.pth", "--list"], "missing.pth: does not exist"),
        ([], "FILE"),
        (["{file}"], "give --model=NAME"),  # checkpoint_zip.pth is called like no model
        (["{file}", "--model=resnet18", "--output={out}"], "give --num_classes=N"),
        (["{file}", "--model=resnet", "--output={out}", "--num_classes=3"], "unknown model"),
        (["{file}", "--model=resnet18", "--output={out}", "--num_classes=x"], "--num_classes"),
        (["{file}", "--model=resnet18", "--output={out}", "--num_classes=0"], "num_classes=0"),
        (["{file}", "--mean=0.5,0.5"], "three numbers"),
        (["{file}", "--front_end_options=[1]"], "no JSON object"),
        (["{file}", "--front_end_options={{"], "no JSON"),
        (["{file}", "--unknown"], "--unknown"),
        (["{file}", "--mod=resnet18"], "--mod"),
        ([str(DATA / "torchscript.pt"), "--list"], "TorchScript"),
    ],
)
def test_errors(arguments, message, tmp_path, capsys):
    places = {"file": DATA / "checkpoint_zip.pth", "out": tmp_path / "run"}
    err = fails(capsys, *(argument.format(**places) for argument in arguments))
    assert message in err
    assert not (tmp_path / "run").exists()


def test_no_state_dict(tmp_path, capsys):
    for described in (b"\x80\x02]K\x01a.", b"\x80\x02}K\x01K\x02s.", b"\x80\x02}."):
        with zipfile.ZipFile(tmp_path / "list.pth", "w") as archive:
            archive.writestr("archive/data.pkl", described)
        arguments = ["--model=resnet18", "--num_classes=3", f"--output={tmp_path / 'run'}"]
        assert "no tensors by name" in fails(capsys, tmp_path / "list.pth", *arguments)


def test_forbidden_content(tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n(" + text("true") + b"tR.")
    assert "os.system" in fails(capsys, tmp_path / "evil.pth", "--list")


def test_help_and_the_command_itself():
    command = [sys.executable, "-m", "jaxbio", "weights"]
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    for word in ("--list", "--no-strict", "--front_end", "--entry", "--model=resnet18"):
        assert word in done.stdout
    file = DATA / "checkpoint_legacy.pth.tar"
    done = subprocess.run([*command, file, "--list"], capture_output=True, text=True, check=True)
    assert "module.0.weight" in done.stdout
    done = subprocess.run([*command, "no.pth"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_model_of_the_examples_exists():
    assert {"resnet50", "resnet18", "squeezenet1_1"} <= set(list_models())

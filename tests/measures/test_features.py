"""The features mode, from images on disk to the file, with a network in miniature."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from jaxbio import features
from jaxbio.data import eval_batches, open_source
from jaxbio.errors import InputError
from jaxbio.features.pictures import open_pictures
from jaxbio.features.store import Writer, partial_path
from jaxbio.files import write_json
from jaxbio.measures import features as mode
from jaxbio.measures.measure import measure
from jaxbio.models import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.checkpoints import export_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.mesh import make_mesh
from jaxbio.tasks.classification.opened import Session, open_session
from tests.features.tiny import MEAN, SIZE, STD, make, write_images

_IMAGES = 21


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of images. Not to be changed."""
    return write_images(tmp_path_factory.mktemp("pictures"), _IMAGES)


@pytest.fixture(scope="module")
def expected(pictures):
    """The features without the library: batch first."""
    return _direct(_batches_of(pictures))


def _batches_of(folder):
    """The images of a folder as evaluation batches of one."""
    return open_pictures(folder).batches(_config().data, 1)


def _direct(batches):
    model, variables = make()
    images = np.concatenate([batch["image"][batch["mask"]] for batch in batches])
    x = (images / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
    _, endpoints = model.apply(variables, x)
    return {
        name: np.moveaxis(np.asarray(array), 0, 1) if array.ndim == 5 else np.asarray(array)
        for name, array in endpoints.items()
    }


def _config(**changes):
    config = base.get_config()
    config.update_from_flattened_dict(
        {
            "data.image_size": SIZE,
            "data.mean": MEAN,
            "data.std": STD,
            "eval.batch_size": 8,
            "train.total_epochs": 1.0,
            **changes,
        }
    )
    return config


def _session(run, variables=None, **changes):
    config = _config(**changes)
    model, own = make()
    return Session(
        config=config,
        run=RunDirectory(run),
        step=3,
        arguments={"name": "tiny", "num_classes": 3, "remat": False},
        model=model,
        variables=own if variables is None else variables,
        source=open_source(config.data),
        preprocessing=Preprocessing(SIZE, config.data.mean, config.data.std),
        mesh=make_mesh(),
        regulariser=None,
        classes=None,
        class_names=None,
        present=None,
    )


def _check(path, expected, rows=slice(None)):
    with features.load(path) as file:
        for name in file:
            np.testing.assert_allclose(file[name], expected[name][rows], atol=1e-5, err_msg=name)
        return list(file), file.images, file.skipped


@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_a_folder_of_images(suffix, pictures, expected, tmp_path, capsys):
    output = tmp_path / f"feats.{suffix}"
    session = _session(tmp_path / "run")
    path = measure(
        session, "features", images=str(pictures), layers=["area", "logits"], output=str(output)
    )
    assert path == output
    layers, images, skipped = _check(output, expected)
    assert layers == ["area", "logits"]
    assert images == sorted(images)
    assert len(images) == _IMAGES
    assert images[0] == "below/picture01.jpg"
    assert not skipped
    shown = capsys.readouterr().out
    assert "area    3 x 8 x 8 x 6  time row column channel  step 1" in shown
    assert "21 images (21 computed now" in shown


def test_the_test_set_where_no_folder_is_given(tmp_path):
    session = _session(tmp_path, **{"eval.batch_size": 64})
    path = measure(session, "features", layers=["penultimate"])
    batches = eval_batches(session.source, session.config.data, global_batch_size=64)
    _, images, _ = _check(path, _direct(batches))
    assert images == [str(i) for i in range(364)]


def test_a_repeated_command_computes_nothing(pictures, tmp_path, capsys, monkeypatch):
    session = _session(tmp_path)
    arguments = {"images": str(pictures), "layers": ["stem"]}
    path = measure(session, "features", **arguments)
    assert path.parent == tmp_path / "features"
    written = path.stat().st_mtime_ns
    monkeypatch.setattr(features.Extractor, "stream", None)
    assert measure(session, "features", **arguments) == path
    assert path.stat().st_mtime_ns == written
    assert "all there already" in capsys.readouterr().out


def test_the_cache_knows_weights_and_images(pictures, tmp_path, monkeypatch):
    monkeypatch.setenv("JAXBIO_FEATURE_CACHE", str(tmp_path / "cache"))
    arguments = {"images": str(pictures), "layers": ["stem"]}
    first = measure(_session(tmp_path), "features", **arguments)
    assert first.parent == tmp_path / "cache"
    doubled = jax.tree.map(lambda x: 2 * x, make()[1])
    second = measure(_session(tmp_path, doubled), "features", **arguments)
    assert second != first
    assert not np.allclose(features.load(first, "stem"), features.load(second, "stem"))
    copied = write_images(tmp_path / "copy", _IMAGES)
    assert measure(_session(tmp_path), "features", images=str(copied), layers=["stem"]) == first
    (copied / "picture00.jpg").unlink()
    assert measure(_session(tmp_path), "features", images=str(copied), layers=["stem"]) != first


def test_a_file_with_other_features_is_not_overwritten(pictures, tmp_path):
    arguments = {"images": str(pictures), "output": str(tmp_path / "feats.h5")}
    measure(_session(tmp_path), "features", layers=["stem"], **arguments)
    before = (tmp_path / "feats.h5").read_bytes()
    with pytest.raises(InputError, match=r"other settings: layers=logits \(there stem\); remove"):
        measure(_session(tmp_path), "features", layers=["logits"], **arguments)
    changed = jax.tree.map(lambda x: x + 1, make()[1])
    with pytest.raises(InputError, match="other weights"):
        measure(_session(tmp_path, changed), "features", layers=["stem"], **arguments)
    with pytest.raises(InputError, match=r"preprocessing.std"):
        measure(
            _session(tmp_path, **{"data.std": (1.0, 1.0, 1.0)}),
            "features",
            layers=["stem"],
            **arguments,
        )
    assert (tmp_path / "feats.h5").read_bytes() == before


class _StopError(Exception):
    pass


def test_an_interrupted_command_goes_on(pictures, expected, tmp_path, monkeypatch):
    output = tmp_path / "feats.h5"
    arguments = {"images": str(pictures), "layers": ["all"], "output": str(output)}
    write = Writer.write

    def stops(self, *batch):
        if self.done:
            raise _StopError
        write(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", stops)
        with pytest.raises(_StopError):
            measure(_session(tmp_path), "features", **arguments)
    assert not output.exists()
    assert partial_path(output).exists()
    starts = []

    def notes(self, *batch):
        starts.append(self.done)
        write(self, *batch)

    monkeypatch.setattr(Writer, "write", notes)
    # Another batch size is the same features.
    measure(_session(tmp_path, **{"eval.batch_size": 16}), "features", **arguments)
    assert starts == [8]
    _check(output, expected)


@pytest.fixture
def with_bad_image(pictures, tmp_path):
    """A copy of the images, with one that is not."""
    folder = write_images(tmp_path / "images", _IMAGES)
    (folder / "picture03.jpg").write_bytes(b"not a picture")
    return folder


def test_an_image_that_does_not_decode_is_named(with_bad_image, tmp_path):
    with pytest.raises(InputError, match=r"picture03.jpg does not decode.*--skip_bad_images"):
        measure(
            _session(tmp_path),
            "features",
            images=str(with_bad_image),
            output=str(tmp_path / "feats.h5"),
        )
    assert not (tmp_path / "feats.h5").exists()


def test_bad_images_are_skipped_and_listed_when_asked(with_bad_image, expected, tmp_path, capsys):
    output = tmp_path / "feats.h5"
    arguments = {"images": str(with_bad_image), "layers": ["all"], "output": str(output)}
    with pytest.raises(InputError):
        measure(_session(tmp_path), "features", **arguments)
    measure(_session(tmp_path), "features", skip_bad_images=True, **arguments)
    rows = [i for i in range(_IMAGES) if i != 7]  # five lie in the folder below
    _, images, skipped = _check(output, expected, rows)
    assert skipped == ["picture03.jpg"]
    assert len(images) == _IMAGES - 1
    assert "picture03.jpg" not in images
    assert "1 images did not decode: picture03.jpg" in capsys.readouterr().out


def test_batches_shrink_where_features_are_large(pictures, tmp_path, monkeypatch):
    sizes = []
    write = Writer.write

    def notes(self, found, good):
        sizes.append(len(good))
        write(self, found, good)

    monkeypatch.setattr(Writer, "write", notes)
    monkeypatch.setattr(mode, "_BATCH_BYTES", 17 * 4 * 8 * 8 * 6)
    session = _session(tmp_path, **{"eval.batch_size": 64})
    measure(session, "features", images=str(pictures), layers=["stem"])
    assert sizes == [16, 5]  # 17 would fit, eight devices share


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["V5"]}, "unknown layer 'V5': use all or some of stem, area"),
        ({"times": ["5"], "layers": ["area"]}, "no step 5: use all, last or some of 0,1,2"),
        ({"times": ["one"]}, "times='one'"),
        ({"times": ["all", "1"]}, "times='all,1'"),
        ({"output": "feats.zarr"}, r"--output=feats.zarr: use a name that ends in \.h5"),
        ({"images": "nowhere"}, "--images=nowhere is not a directory"),
    ],
)
def test_wrong_arguments_are_one_line_and_leave_nothing(arguments, message, pictures, tmp_path):
    arguments = {"images": str(pictures), "output": str(tmp_path / "feats.h5"), **arguments}
    with pytest.raises(InputError, match=message):
        measure(_session(tmp_path), "features", **arguments)
    assert os.listdir(tmp_path) == []


def _squeezenet_run(path):
    """A directory of converted weights, and the arguments of its model."""
    arguments = {"name": "squeezenet1_1", "num_classes": 7, "image_size": 32, "front_end": "none"}
    arguments |= {"front_end_options": {}, "activation": "relu"}
    model = create_model(**arguments)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    export_variables(path, arguments, variables, provenance={})
    return arguments


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["converted", "trained"])
def test_a_run_whose_data_are_not_here(kind, pictures, tmp_path):
    """The images are the user's own: neither the data nor their class count matter."""
    arguments = _squeezenet_run(tmp_path / "run")
    config = _config(
        **{
            "model.name": "squeezenet1_1",
            "model.front_end": "none",
            "data.source": "folder",
            "data.data_dir": str(tmp_path / "nowhere"),
            "data.image_size": 32,
        }
    )
    if kind == "trained":
        resolved = {**arguments, "remat": False, "dtype": "float32"}
        recorded = {"config": config.to_dict(), "resolved": {"model": resolved}}
        write_json(tmp_path / "run" / "config.json", recorded)
        config = None
    session = open_session(config, str(tmp_path / "run"), with_data=False)
    path = measure(session, "features", images=str(pictures), layers=["penultimate"], pool="max")
    assert features.load(path, "penultimate").shape == (_IMAGES, 512)


@pytest.mark.slow
def test_the_command_killed_and_repeated(tmp_path):
    _squeezenet_run(tmp_path / "run")
    write_images(tmp_path / "images", 600)
    root = Path(__file__).parents[2]
    command = [sys.executable, "evaluate.py", "--mode=features", "--config=configs/svp_resnet.py"]
    command += [f"--workdir={tmp_path / 'run'}", f"--images={tmp_path / 'images'}"]
    command += ["--layers=pool1,penultimate", "--pool=max", "--config.eval.batch_size=8"]

    def start(output):
        arguments = [*command, f"--output={output}"]
        return subprocess.Popen(arguments, cwd=root, stdout=subprocess.PIPE, text=True)

    whole, interrupted = tmp_path / "whole.h5", tmp_path / "interrupted.h5"
    assert start(whole).wait(300) == 0
    process = start(interrupted)
    while not partial_path(interrupted).exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    assert not interrupted.exists()
    output, _ = (process := start(interrupted)).communicate(timeout=300)
    assert process.returncode == 0
    assert "pool1        64         channel" in output
    with features.load(whole) as one, features.load(interrupted) as other:
        assert one.images == other.images
        for layer in one:
            assert np.array_equal(one[layer], other[layer])

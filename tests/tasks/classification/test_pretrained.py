"""Beginning with what another network has learned: a run, converted weights, a PyTorch file."""

import json
import os
import signal
import struct

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import fine_tune, svp_resnet
from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.checkpoints import export_variables
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened
from jaxbio.tasks.classification import task as classification
from jaxbio.tasks.classification.build import build_model
from jaxbio.tasks.classification.pretrained import open_pretrained
from jaxbio.tasks.config import check_training
from tests.tasks.tiny import Tiny

_ARGUMENTS = {
    **{"name": "resnet18", "num_classes": 7, "image_size": 32, "front_end": "svp"},
    **{"front_end_options": {"sf_max": 5.0}, "activation": "relu"},
}
_MEAN = (0.4, 0.5, 0.6)


@pytest.fixture(scope="module", autouse=True)
def tiny_model():
    with pytest.MonkeyPatch.context() as patch:
        for module in (opened, classification):
            patch.setattr(module, "build_model", lambda args: Tiny(args["num_classes"]))
        yield


def _config(experiment=svp_resnet, **changes):
    config = experiment.get_config("digits")
    flat = {
        "train.batch_size": 64,
        "train.total_steps": 8,
        "eval.every_steps": 0,
        "eval.batch_size": 96,
        "checkpoint.every_steps": 0,
        "optimizer.learning_rate": 0.02,
        "schedule.name": "constant",
        "log.tensorboard": False,
        **changes,
    }
    config.update_from_flattened_dict(flat)
    return config


def _export(path, num_classes, seed=5):
    variables = dict(Tiny(num_classes).init(jax.random.key(seed), jnp.zeros((1, 32, 32, 3))))
    images = Preprocessing(32, _MEAN, (0.5, 0.5, 0.5))
    arguments = {**_ARGUMENTS, "num_classes": num_classes}
    export_variables(path, arguments, variables, preprocessing=images, provenance={})
    return path, variables


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Converted weights of seven classes."""
    return _export(tmp_path_factory.mktemp("start") / "weights", 7)


def _changes(path):
    return {"model.init_from": str(path), "model.freeze": "conv,bn", "train.ema_decay": 0.9}


@pytest.fixture(scope="module")
def tuned(weights, tmp_path_factory):
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("tuned")
    loop.train(_config(fine_tune, **_changes(weights[0])), str(run))
    return run


def _variables(run):
    return opened.open_session(None, str(run), "last", with_data=False).variables


@pytest.mark.slow
def test_own_classes_are_learned_and_the_frozen_rest_is_that_of_the_weights(weights, tuned):
    given, found = weights[1], _variables(tuned)
    for part in ("conv", "bn"):
        chex.assert_trees_all_equal(found["params"][part], given["params"][part])
    chex.assert_trees_all_equal(found["batch_stats"], given["batch_stats"])
    chex.assert_trees_all_equal(found["constants"], given["constants"])
    assert found["params"]["fc"]["kernel"].shape[-1] == 10
    recorded = json.loads((tuned / "config.json").read_text())
    assert recorded["config"]["model"]["name"] == "resnet18"
    assert recorded["config"]["model"]["v1"]["sf_max"] == 5.0
    assert recorded["config"]["data"]["mean"] == list(_MEAN)
    assert recorded["resolved"]["init_from"] == {"from": "weights", "step": 0, "classifier": "new"}


@pytest.mark.slow
def test_a_fine_tuning_goes_on_bit_for_bit(weights, tuned, tmp_path, monkeypatch):
    config = _config(fine_tune, **_changes(weights[0]))

    class TermAt3(loop.Interrupts):
        def stop_requested(self, step):
            if step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().stop_requested(step)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "Interrupts", TermAt3)
        assert loop.train(config, str(tmp_path)) is None
    config = _config(fine_tune, **_changes(weights[0]))
    assert loop.train(config, str(tmp_path))["step"] == 8
    chex.assert_trees_all_equal(_variables(tuned), _variables(tmp_path))


def test_the_same_classes_keep_their_classifier(tmp_path):
    path, given = _export(tmp_path / "weights", 10)
    task = classification.Classification(_config(fine_tune, **_changes(path)))
    state = task.initial_state()
    chex.assert_trees_all_equal(state.params, given["params"])
    chex.assert_trees_all_equal(state.ema["params"], given["params"])
    names = json.loads((path / "config.json").read_text())
    names["resolved"] = {"model": names["model"], "class_names": list("abcdefghij")}
    (path / "config.json").write_text(json.dumps(names))
    other = classification.Classification(_config(fine_tune, **_changes(path)))
    kernel = other.initial_state().params["fc"]["kernel"]
    assert not np.array_equal(kernel, given["params"]["fc"]["kernel"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.front_end": "vone"}, r"model\.front_end='vone' \(there 'svp'\)"),
        ({"model.v1.sf_max": 9.0}, r"model\.v1\.sf_max=9\.0 \(there 5\.0\)"),
        ({"data.image_size": 64}, r"data\.image_size=64 \(there 32\).*eval\.preprocessing=config"),
        ({"data.mean": (0.0, 0.0, 0.0)}, r"data\.mean.*there \(0\.4, 0\.5, 0\.6\)"),
    ],
)
def test_what_disagrees_is_refused(weights, changes, message):
    config = _config(fine_tune, **{"model.init_from": str(weights[0]), **changes})
    with pytest.raises(InputError, match=message):
        open_pretrained(config)


def test_an_experiment_with_a_network_of_its_own_takes_what_it_leaves_open(weights):
    images = {"data.mean": _MEAN, "model.init_from": str(weights[0])}
    config = _config(**images)
    open_pretrained(config)
    assert config.model.v1.sf_max == 5.0  # was not set
    with pytest.raises(InputError, match=r"model\.name='resnet34' \(there 'resnet18'\)"):
        open_pretrained(_config(**images, **{"model.name": "resnet34"}))
    other = _config(**{**images, "data.mean": (0.5, 0.5, 0.5)})
    with pytest.raises(InputError, match=r"data\.mean"):
        open_pretrained(other)
    other.eval.preprocessing = "config"
    open_pretrained(other)
    assert other.data.mean == (0.5, 0.5, 0.5)


def _write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        ends = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": ends}
        data += array.tobytes()
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


@pytest.mark.slow
def test_a_file_of_pytorch(tmp_path, monkeypatch):
    """All of CORnet-Z but its classifier, which has other classes."""
    model = create_model("cornet_z", num_classes=3, image_size=32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    rng, tensors = np.random.default_rng(0), {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        *module, kind = (entry.key for entry in path)
        name = model.torch_name((*module, {"kernel": "weight"}.get(kind, kind)))
        shape = leaf.shape if leaf.ndim != 4 else (*leaf.shape[:1:-1], *leaf.shape[:2])
        tensors[name] = rng.standard_normal(shape[::-1] if leaf.ndim == 2 else shape, np.float32)
    file = tmp_path / "cornet.safetensors"
    _write_safetensors(file, tensors)
    imagenet = {"data.mean": (0.485, 0.456, 0.406), "data.std": (0.229, 0.224, 0.225)}
    config = _config(**{"model.init_from": str(file), "model.name": "cornet_z", **imagenet})
    config.model.front_end = "none"
    for module in (opened, classification):
        monkeypatch.setattr(module, "build_model", build_model)
    task = classification.Classification(config)
    state = task.initial_state()
    assert state.params["decoder"]["linear"]["kernel"].shape[-1] == 10
    expected = tensors["V4.conv.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(state.params["V4"]["conv"]["kernel"], expected)
    config.model.name = "cornet_rt"
    with pytest.raises(InputError, match="does not fit cornet_rt") as error:
        open_pretrained(config)
    assert len(str(error.value)) < 400
    config.model.name = "pretrained"
    with pytest.raises(InputError, match="does not say which network"):
        open_pretrained(config)


def test_where_nothing_is_to_begin_with(tmp_path):
    with pytest.raises(InputError, match=r"model\.init_from=RUN_OR_WEIGHTS"):
        check_training(_config(fine_tune))
    for path, message in (("none", "does not exist"), ("", "not trained yet")):
        with pytest.raises(InputError, match=message):
            check_training(_config(fine_tune, **{"model.init_from": str(tmp_path / path)}))
    (tmp_path / "config.json").write_text('{"config": {"task": "stdp"}, "resolved": {}}')
    with pytest.raises(InputError, match=r"spiking\.start_from"):
        open_pretrained(_config(fine_tune, **{"model.init_from": str(tmp_path)}))

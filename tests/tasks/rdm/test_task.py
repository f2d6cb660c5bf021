"""Learning from neural data, with a tiny student behind the common loop."""

import itertools
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from configs import rdm_finetune
from jaxbio.data import open_source
from jaxbio.errors import InputError
from jaxbio.neural import synthetic_recordings, write_recordings
from jaxbio.neural.recordings import Recordings, StimulusSet
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.checkpoints import export_variables
from jaxbio.runs.mesh import make_mesh
from jaxbio.runs.state import make_state
from jaxbio.tasks import loop
from jaxbio.tasks.classification import opened as session
from jaxbio.tasks.classification import task as classifier_task
from jaxbio.tasks.classification.build import model_arguments
from jaxbio.tasks.rdm import networks as rdm_models
from jaxbio.tasks.rdm import task as rdm
from jaxbio.tasks.rdm import teachers
from jaxbio.tasks.rdm.data import (
    BalancedBatches,
    Target,
    neural_target,
    split_images,
    split_people,
)
from jaxbio.tasks.rdm.pictures import draw_stimuli
from jaxbio.tasks.rdm.step import make_rdm_step

_SIZE = 32


class Student(nn.Module):
    """Convolution, BatchNorm, pool, classifier."""

    num_classes: int = 7

    @nn.compact
    def __call__(self, x, train=False):
        x = nn.Conv(12, (3, 3), (2, 2), name="conv")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="bn")(x))
        x = nn.avg_pool(x, (4, 4), (4, 4))
        logits = nn.Dense(self.num_classes, name="fc")(x.mean((1, 2)))
        return logits, {"penultimate": x, "in_time": jnp.stack([x, 2 * x])}


@pytest.fixture(autouse=True)
def tiny_student(monkeypatch):
    for module in (rdm_models, session, classifier_task):
        monkeypatch.setattr(module, "build_model", lambda a: Student(a["num_classes"]))


@pytest.fixture(scope="module")
def recordings():
    return synthetic_recordings(views=5, image_size=_SIZE, sites=30, repetitions=2)


@pytest.fixture(scope="module")
def neural_file(recordings, tmp_path_factory):
    path = tmp_path_factory.mktemp("neural") / "recordings.npz"
    write_recordings(recordings, path)
    return str(path)


def _config(neural_file, **changes):
    config = rdm_finetune.get_config()
    config.update_from_flattened_dict(
        {
            "rdm.neural": neural_file,
            "rdm.images_per_object": 2,
            "rdm.held_out": 0.4,
            "rdm.sit_splits": 5,
            "data.image_size": _SIZE,
            "train.total_steps": 6,
            "eval.every_steps": 3,
            "checkpoint.every_steps": 3,
            "log.every_steps": 1,
            "log.tensorboard": False,
            **changes,
        }
    )
    return config


def _lines(workdir, split):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["split"] == split]


def test_held_out_images_are_of_every_object(recordings):
    part = split_images(recordings.stimuli, 0.4, seed=3)
    assert not set(part.train) & set(part.test)
    assert len(part.train) + len(part.test) == 245
    _, counts = np.unique(recordings.stimuli.objects[part.test], return_counts=True)
    assert counts.tolist() == [2] * 49
    assert split_images(recordings.stimuli, 0.4, 3).test.tolist() == part.test.tolist()
    assert split_images(recordings.stimuli, 0.4, 4).test.tolist() != part.test.tolist()
    for share in (0.0, 0.05, 1.0):
        with pytest.raises(InputError, match=f"rdm.held_out={share}"):
            split_images(recordings.stimuli, share, 0)


def test_validation_images_are_neither_learnt_from_nor_held_out(recordings):
    part = split_images(recordings.stimuli, 0.4, seed=3, validation=0.34)
    assert part.test.tolist() == split_images(recordings.stimuli, 0.4, 3).test.tolist()
    together = np.concatenate([part.train, part.test, part.validation])
    assert sorted(together) == list(range(245))
    _, counts = np.unique(recordings.stimuli.objects[part.validation], return_counts=True)
    assert counts.tolist() == [1] * 49
    with pytest.raises(InputError, match=r"rdm\.validation=0\.1"):
        split_images(recordings.stimuli, 0.4, 0, validation=0.1)


def test_held_out_people_are_others_than_those_learnt_from(recordings):
    data = _single_images()
    learnt, scored = split_people(data, 1, seed=5)
    found = [*learnt.rdms["it"], *scored.rdms["it"]]
    assert (len(learnt.rdms["it"]), len(scored.rdms["it"])) == (2, 1)
    assert sorted(r.sum() for r in found) == sorted(r.sum() for r in data.rdms["it"])
    assert split_people(data, 0, seed=5) == (data, data)
    for wrong, count in ((data, 3), (recordings, 1)):
        with pytest.raises(InputError, match=f"rdm.held_out_people={count}"):
            split_people(wrong, count, 0)


def test_the_control_has_the_same_dissimilarities_in_another_order():
    data = _single_images()
    index, rows = np.arange(12), np.arange(12)
    plain = neural_target(data).matrix(index, rows)
    target = Target(dissimilarities=data.rdms["it"].mean(0), shuffled=1)
    shuffled = target.matrix(index, rows)
    assert not np.array_equal(shuffled, plain)
    np.testing.assert_array_equal(np.sort(shuffled, axis=None), np.sort(plain, axis=None))
    np.testing.assert_array_equal(shuffled, target.matrix(index, rows))  # of every batch


def _single_images(count=24):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, _SIZE, _SIZE, 3), np.uint8)
    ids = np.array([f"i{i:02d}" for i in range(count)])
    labels = np.array(["a", "b", "c", "d"] * (count // 4))
    rdm_ = rng.uniform(0.5, 1.5, (3, count, count))
    rdm_ = (rdm_ + rdm_.swapaxes(1, 2)) / 2
    rdm_[:, np.arange(count), np.arange(count)] = 0
    return Recordings("single", StimulusSet(ids, labels, ids, images=images), rdms={"it": rdm_})


def test_of_single_images_whole_conditions_are_held_out():
    data = _single_images()
    part = split_images(data.stimuli, 0.25, 0)
    _, counts = np.unique(data.stimuli.labels[part.test], return_counts=True)
    assert counts.tolist() == [2, 2, 2, 2]
    target = neural_target(data)
    index = np.array([7, 2, 11])
    expected = data.rdms["it"].mean(0)[np.ix_(index, index)]
    np.testing.assert_allclose(target.matrix(index, np.arange(3)), expected, rtol=1e-6)
    # Rows follow the conditions, not the order of the images.
    np.testing.assert_allclose(target.matrix(index[::-1], np.array([2, 1, 0])), expected, rtol=1e-6)


def _batches(recordings, **changes):
    part = split_images(recordings.stimuli, 0.4, 0)
    arguments = {
        "images": recordings.stimuli.images,
        "labels": np.unique(recordings.stimuli.labels, return_inverse=True)[1],
        "objects": recordings.stimuli.objects,
        "index": part.train,
        "target": neural_target(recordings),
        "per_object": 2,
        "seed": 0,
    }
    return BalancedBatches(**{**arguments, **changes}), part


def test_batches_are_balanced_and_functions_of_the_step(recordings):
    batches, part = _batches(recordings)
    assert batches.size == 98
    index, conditions = batches.draw(5)
    assert set(index) <= set(part.train)
    assert len(set(index)) == 98
    names = recordings.stimuli.objects[index].reshape(49, 2)
    assert (names[:, 0] == names[:, 1]).all()
    assert conditions.tolist() == np.repeat(np.arange(49), 2).tolist()
    mesh = make_mesh()
    later = list(batches.stream(3, 5, mesh))
    first = list(batches.stream(0, 5, mesh))
    for name, value in later[1].items():
        np.testing.assert_array_equal(first[4][name], value)
    assert not np.array_equal(first[0]["image"], first[1]["image"])
    means = recordings.responses.mean(2)[batches.draw(0)[0]].reshape(49, 2, -1).mean(1)
    np.testing.assert_allclose(first[0]["target"], 1 - np.corrcoef(means), atol=1e-4)
    with pytest.raises(InputError, match=r"rdm.images_per_object=9: .* has 3 images"):
        _batches(recordings, per_object=9)


_HALF = (0.5, 0.5, 0.5)


def _step(state_model, **options):
    import optax

    optimizer = optax.scale_by_adam()
    arguments = {"layer": "penultimate", "seed": 0}
    step = make_rdm_step(
        state_model,
        Preprocessing(_SIZE, _HALF, _HALF),
        optimizer,
        lambda step: jnp.float32(1e-2),
        **{**arguments, **options},
    )
    init = jax.jit(state_model.init)
    variables = dict(init(jax.random.key(0), jnp.zeros((1, _SIZE, _SIZE, 3))))
    state = make_state(variables.pop("params"), variables, {}, optimizer)
    return jax.jit(step), state


@pytest.mark.slow
def test_steps_bring_the_rdm_nearer_to_the_target(recordings):
    batches, _ = _batches(recordings)
    batch = next(iter(batches.stream(0, 1, make_mesh())))
    step, state = _step(Student())
    losses = []
    for _ in range(25):
        state, metrics = step(state, batch)
        losses.append(float(metrics["rdm_loss"] / metrics["count"]))
    assert losses[-1] < 0.6 * losses[0]
    assert int(state.step) == 25
    assert "top1" not in metrics


def test_the_loss_is_that_of_the_definition(recordings):
    batches, _ = _batches(recordings)
    batch = next(iter(batches.stream(0, 1, make_mesh())))
    step, state = _step(Student(), class_weight=0.5)
    images = np.asarray(batch["image"]) / 127.5 - 1
    variables = {"params": state.params, **state.model_state}
    (logits, endpoints), _ = jax.jit(
        lambda v, x: Student().apply(v, x, train=True, mutable=["batch_stats"])
    )(variables, images)
    means = np.asarray(endpoints["penultimate"]).reshape(49, 2, -1).mean(1)
    expected = np.square(1 - np.corrcoef(means) - batch["target"]).mean()
    entropy = -np.asarray(jax.nn.log_softmax(logits))[np.arange(98), batch["label"]].mean()
    _, metrics = step(state, batch)
    assert float(metrics["rdm_loss"]) / 98 == pytest.approx(expected, rel=1e-4)
    assert float(metrics["loss"]) / 98 == pytest.approx(expected + 0.5 * entropy, rel=1e-4)


@pytest.mark.slow
def test_of_layers_with_time_the_last_step_counts(recordings):
    batches, _ = _batches(recordings)
    batch = next(iter(batches.stream(0, 1, make_mesh())))
    plain, state = _step(Student())
    timed, other = _step(Student(), layer="in_time", timed=True)
    loss = [float(step(s, batch)[1]["rdm_loss"]) for step, s in ((plain, state), (timed, other))]
    assert loss[0] == pytest.approx(loss[1], rel=1e-5)


class _StoppedError(Exception):
    """In place of a kill signal."""


@pytest.mark.slow
def test_a_run_reports_and_resumes(neural_file, tmp_path, capsys, monkeypatch):
    def train(name):
        config = _config(neural_file, **{"optimizer.learning_rate": 1e-2})
        return loop.train(config, str(tmp_path / name))

    whole = train("a")
    # In six steps the held-out loss may rise; that a student learns is tested above.
    assert whole["rdm_loss"] != whole["rdm_loss_before"]
    assert {"similarity", "similarity_before", "svm", "svm_before"} <= set(whole)
    assert (tmp_path / "a" / "report" / "fine_tuning.png").stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "SYNTHETIC" in printed
    assert "SIT, held-out images" in printed

    all_batches = rdm.RdmFineTuning.batches

    def four_batches(self, start):
        yield from itertools.islice(all_batches(self, start), 4)
        raise _StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(rdm.RdmFineTuning, "batches", four_batches)
        with pytest.raises(_StoppedError):
            train("b")
    again = train("b")
    assert "resuming at step 3" in capsys.readouterr().out
    for key in ("similarity", "rdm_loss", "svm", "similarity_before"):
        assert again[key] == whole[key]
    losses = [[line["loss"] for line in _lines(tmp_path / n, "train")] for n in ("a", "b")]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_dissimilarities_of_single_images(tmp_path):
    write_recordings(_single_images(), tmp_path / "single.npz")
    config = _config(
        str(tmp_path / "single.npz"),
        **{"rdm.images_per_object": 1, "rdm.held_out": 0.25, "train.total_steps": 2},
    )
    results = loop.train(config, str(tmp_path / "run"))
    assert "svm" not in results
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recorded["resolved"]["data"]["held_out_images"] == 8


@pytest.mark.slow
def test_parts_are_frozen_and_others_held_near_their_start(tmp_path):
    write_recordings(_single_images(), tmp_path / "rdms.npz")

    def moved(name, **changes):
        config = _config(
            str(tmp_path / "rdms.npz"),
            **{"rdm.images_per_object": 1, "rdm.held_out": 0.25, "rdm.validation": 0.25},
            **{"optimizer.name": "sgd", "optimizer.learning_rate": 1e-2},
            **{"train.total_steps": 20, "eval.every_steps": 20, "checkpoint.every_steps": 20},
            **changes,
        )
        task = rdm.RdmFineTuning(config)
        results = loop.train(config, str(tmp_path / name))
        assert {"similarity_validation", "similarity_validation_before"} <= set(results)
        assert task.best_by == "similarity_validation"
        trained = session.load_variables(
            session.RunDirectory(tmp_path / name), task.initial_state().variables(), "last"
        )[0]["params"]
        change = jax.tree.map(jnp.subtract, trained, task.initial_state().params)
        return {
            part: float(jnp.linalg.norm(leaf["kernel"]))
            for part, leaf in change.items()
            if "kernel" in leaf
        }

    free = moved("free")
    assert free["conv"] > 0
    assert moved("held", **{"rdm.l2_sp": 50.0})["conv"] < 0.5 * free["conv"]
    frozen = moved("frozen", **{"rdm.freeze": "conv", "rdm.class_weight": 1.0})
    assert frozen["conv"] == 0
    assert frozen["fc"] > 0


@pytest.mark.slow
def test_a_student_goes_on_from_a_run_and_a_run_can_teach(tmp_path):
    write_recordings(_single_images(), tmp_path / "single.npz")
    options = {
        "rdm.images_per_object": 1,
        "rdm.held_out": 0.25,
        "train.total_steps": 2,
        "eval.every_steps": 2,
        "optimizer.learning_rate": 1e-2,
    }
    first = loop.train(_config(str(tmp_path / "single.npz"), **options), str(tmp_path / "first"))
    config = _config(
        str(tmp_path / "single.npz"),
        **options,
        **{"rdm.student": str(tmp_path / "first"), "rdm.teacher": str(tmp_path / "first")},
        **{"model.activation": "gelu"},
    )
    second = loop.train(config, str(tmp_path / "second"))
    assert second["similarity_before"] == pytest.approx(first["similarity"], abs=1e-6)
    assert second["rdm_loss_before"] == pytest.approx(0.0, abs=1e-6)  # its teacher is itself
    assert config.model.activation == "relu"  # what the student is, not what was asked
    opened = session.open_session(None, str(tmp_path / "second"), with_data=False)
    assert opened.step == 2


@pytest.mark.parametrize(
    "arguments",
    [
        {"front_end": "evnet", "front_end_options": {"sf_max": 5.0, "retina": {"m_cells": False}}},
        {"name": "spiking_cnn", "steps": 4, "tau": 3.0},
        {"name": "cornet_s", "times": 2, "remat": True},
    ],
)
def test_the_configuration_becomes_that_of_the_student(tmp_path, arguments):
    usual = {"name": "resnet18", "front_end": "none", "front_end_options": {}, "activation": "relu"}
    usual |= {"num_classes": 7, "image_size": _SIZE, "remat": False, "dtype": "float32"}
    arguments = {**usual, **arguments}
    mean, std = (0.4, 0.5, 0.6), (0.3, 0.2, 0.1)
    if "retina" in arguments["front_end_options"]:
        arguments["front_end_options"]["retina"] |= {"mean": list(mean), "std": list(std)}
    images = jnp.zeros((1, _SIZE, _SIZE, 3))
    export_variables(
        tmp_path / "student",
        arguments,
        Student().init(jax.random.key(0), images),
        preprocessing=Preprocessing(_SIZE, mean, std),
        provenance={},
    )
    config = rdm_finetune.get_config()
    config.rdm.student = str(tmp_path / "student")
    rdm_models.open_student(config, 7)
    assert model_arguments(config, 7) == arguments


@pytest.mark.slow
def test_pictures_of_a_data_set_teach_what_a_network_sees(tmp_path):
    changes = {"rdm.pictures": 16, "rdm.held_out": 0.5, "optimizer.learning_rate": 3e-3}
    teacher = str(tmp_path / "teacher")
    first = {"rdm.teacher": "random:alexnet", "seed": 1, "train.total_steps": 1}
    loop.train(_config("digits", **changes, **first), teacher)
    config = _config(
        "digits", **changes, **{"rdm.teacher": teacher, "rdm.teacher_layer": "in_time"}
    )
    results = loop.train(config, str(tmp_path / "run"))
    assert 0 < results["rdm_loss"] < results["rdm_loss_before"]
    record = json.loads((tmp_path / "run" / "config.json").read_text())["resolved"]
    assert record["data"]["stimuli"] == 160
    assert record["data"]["objects"] == 10
    assert record["teacher"] == "teacher, step 1"


def test_pictures_are_drawn_from_every_class():
    stimuli = draw_stimuli("digits", 6, seed=0)
    assert np.unique(stimuli.labels, return_counts=True)[1].tolist() == [6] * 10
    source = open_source(SimpleNamespace(source="digits"))
    index = stimuli.ids.astype(int)
    np.testing.assert_array_equal(source.train.labels[index], stimuli.labels.astype(int))
    np.testing.assert_array_equal(stimuli.images[..., 1:2], source.train.images[index])
    assert (index != draw_stimuli("digits", 6, seed=1).ids.astype(int)).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rdm.teacher": ""}, r"rdm\.teacher"),
        ({"rdm.teacher": "nowhere"}, r"rdm\.teacher=nowhere is no run"),
        ({"rdm.student": "nowhere", "rdm.pictures": 20}, r"rdm\.student=nowhere is no run"),
        ({"rdm.pictures": 2000}, r"rdm\.pictures=2000"),
    ],
)
def test_pictures_without_a_network_or_too_many(tmp_path, changes, words):
    config = _config("digits", **{"rdm.teacher": "random:alexnet"} | changes)
    with pytest.raises(InputError, match=words):
        loop.train(config, str(tmp_path))


@pytest.mark.slow
def test_every_teacher_is_tried_once_and_tabulated(neural_file, tmp_path, capsys):
    config = _config(
        neural_file, **{"train.total_steps": 1, "teachers": "neural, random:alexnet, neural"}
    )
    gains = teachers.train_all(config, str(tmp_path))
    assert list(gains) == ["neural", "random:alexnet"]
    assert (tmp_path / "neural" / "results.json").exists()
    table = (tmp_path / "gains.txt").read_text()
    assert [line.split()[0] for line in table.splitlines()[2:]] == ["neural", "random:alexnet"]
    assert gains["neural"]["similarity_before"] == gains["random:alexnet"]["similarity_before"]
    teacher = json.loads((tmp_path / "random_alexnet" / "config.json").read_text())
    assert teacher["resolved"]["teacher"] == "random weights"
    capsys.readouterr()
    assert teachers.train_all(config, str(tmp_path)) == gains  # nothing is trained again
    assert capsys.readouterr().out.count("has finished: nothing to do") == 2


def test_all_teachers_are_the_runs_of_a_folder(neural_file, tmp_path):
    for name, task in (("one", "classification"), ("two", "rdm"), ("three", None)):
        folder = tmp_path / "runs" / name
        (folder / "checkpoints").mkdir(parents=True)
        content = {"config": {"task": task}} if task else {"model": {"name": "alexnet"}}
        (folder / "config.json").write_text(json.dumps(content))
    config = _config(neural_file, **{"teachers": "all", "rdm.teachers_dir": str(tmp_path / "runs")})
    names = teachers.list_teachers(config)
    assert [name.rsplit("/", 1)[-1] for name in names] == ["neural", "one", "three"]
    for wrong, message in (("nobody", "--config.teachers=nobody"),):
        config.teachers = wrong
        with pytest.raises(InputError, match=message):
            teachers.list_teachers(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rdm.layer": "penultimat"}, "did you mean 'penultimate'"),
        ({"rdm.region": "V1"}, "no such region"),
        ({"rdm.student": "nowhere"}, r"rdm\.student=.* is no run"),
        ({"rdm.neural": "nowhere.npz"}, "nowhere.npz does not exist"),
    ],
)
def test_wrong_configurations(neural_file, changes, message):
    with pytest.raises(InputError, match=message):
        rdm.RdmFineTuning(_config(neural_file, **changes))


def test_unknown_variants_are_refused():
    with pytest.raises(ValueError, match="unknown variant 'monkey'"):
        rdm_finetune.get_config("monkey")


def test_target_of_features_is_the_rdm_of_object_means():
    rng = np.random.default_rng(0)
    patterns = rng.standard_normal((12, 9)).astype(np.float32)
    conditions = np.array([0, 1, 2, 0, 1, 2])
    index = np.arange(6)
    found = Target(patterns).matrix(index, conditions)
    means = np.stack([patterns[index[conditions == c]].mean(0) for c in range(3)])
    np.testing.assert_allclose(found, 1 - np.corrcoef(means), atol=1e-5)

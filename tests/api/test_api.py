"""The front door: training, opening and asking a run, a network by name, RSA; on tiny networks."""

import doctest
import functools
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image

import jaxbio
from configs import svp_resnet
from jaxbio.data import open_source
from jaxbio.errors import InputError
from jaxbio.files import write_json
from jaxbio.tasks.classification import opened
from tests.tasks.tiny import Tiny
from tests.weights.test_convert import generated, same
from tests.weights.test_safetensors import safetensors

QUICK = {
    "train.total_steps": 4,
    "train.batch_size": 64,
    "eval.batch_size": 96,
    "log.tensorboard": False,
}


def _tiny(patch):
    patch.setattr(opened, "build_model", lambda arguments: Tiny(arguments["num_classes"]))


@pytest.fixture(autouse=True)
def tiny_model(monkeypatch):
    _tiny(monkeypatch)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run. Not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        _tiny(patch)
        return jaxbio.train("svp_resnet", QUICK, tmp_path_factory.mktemp("runs") / "digits")


@pytest.fixture(scope="module")
def digits():
    """The test set: images and labels."""
    split = open_source(svp_resnet.get_config().data).eval
    return split.images, split.labels


def test_import_is_light_and_names_are_shown():
    code = "import sys, jaxbio; print(*dir(jaxbio)); assert 'jax' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = done.stdout.split()
    assert {"train", "open_run", "load_model", "rsa", "features", "similarity"} <= set(names)
    assert all(hasattr(jaxbio, name) for name in names)
    with pytest.raises(AttributeError, match="trian"):
        _ = jaxbio.trian


def test_train_gives_the_run_and_open_run_the_same(trained):
    assert trained.results["step"] == 4
    assert trained.config.train.total_steps == 4
    again = jaxbio.open_run(trained.path, "last")
    assert again.results == trained.results
    measured = again.evaluate("accuracy")
    assert measured["top1"] == pytest.approx(trained.results["top1"], rel=1e-5)


def test_training_goes_on_from_a_configuration(trained, capsys):
    repeated = jaxbio.train(trained.config, None, trained.path)
    assert repeated.results == trained.results
    assert "has finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "overrides", "match"),
    [
        ("svp_resnet", {"train.total_epoch": 3}, "total_epoch"),
        ("svp_resnet", {"train.total_epochs": "three"}, r"total_epochs='three'"),
        ("svp_resnet", {"train.batch_size": -1}, r"batch_size=-1"),
        ("svp_resnet", {"train": {"batch_size": 1}}, "section"),
        ("svp_resnet", ["train.batch_size"], "overrides is a list"),
        ("svp_resnt", None, "svp_resnet"),
        (7, None, "config is a int"),
        ("rdm_finetune", {"teachers": "all"}, "teachers='all'"),
    ],
)
def test_wrong_configurations_are_one_line_and_leave_nothing(config, overrides, match, tmp_path):
    with pytest.raises(InputError, match=match) as error:
        jaxbio.train(config, overrides, tmp_path / "run")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_key_of_a_configuration_is_an_error(tmp_path):
    config = svp_resnet.get_config().unlock()
    config.train.total_epoch = 3
    with pytest.raises(InputError, match="total_epoch"):
        jaxbio.train(config, None, tmp_path / "run")


def test_what_is_no_run_says_how_to_train_it(tmp_path, trained):
    with pytest.raises(InputError, match="jaxbio train"):
        jaxbio.open_run(tmp_path / "nothing")
    with pytest.raises(InputError, match="999"):
        jaxbio.open_run(trained.path, 999)


def test_predictions_are_those_of_the_evaluation(trained, digits):
    images, labels = digits
    found = trained.predict(images)
    right = np.mean([int(p.name) == label for p, label in zip(found, labels, strict=True)])
    assert right == pytest.approx(trained.results["top1"], abs=0.002)
    assert all(len(p.classes) == 5 for p in found)
    probabilities = np.array([p.probabilities for p in found])
    assert (np.diff(probabilities, axis=1) <= 0).all()
    assert (probabilities.sum(1) <= 1 + 1e-5).all()
    every = trained.predict(images[:1], top=99)[0]
    assert sorted(every.classes) == sorted(map(str, range(10)))
    assert sum(every.probabilities) == pytest.approx(1, abs=1e-5)


def test_files_folders_and_arrays_are_the_same_pictures(trained, digits, tmp_path):
    images = digits[0][:3]
    for number, image in enumerate(images):
        Image.fromarray(image.squeeze()).save(tmp_path / f"{number}.png")
    files = [tmp_path / f"{number}.png" for number in range(3)]
    expected = trained.predict(images)
    assert trained.predict(tmp_path) == expected
    assert trained.predict(list(map(str, files))) == expected
    assert trained.predict([files[0], images[1].squeeze(), files[2]]) == expected
    assert trained.predict(files[0]) == expected[:1]


def test_arrays_of_the_networks_size_are_taken_as_they_are(trained):
    images = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3)).astype(np.uint8)
    session = trained.session
    normalised = session.preprocessing.normalise(jax.numpy.asarray(images))
    logits, _ = session.model.apply(session.variables, normalised)
    features = trained.features(images, "logits")
    np.testing.assert_allclose(features["logits"], logits, atol=2e-5)
    assert features["logits"].dtype == np.float32
    [first] = trained.predict(images[0], top=1)
    assert first.probabilities[0] == pytest.approx(float(jax.nn.softmax(logits[0]).max()), abs=1e-5)


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.zeros((2, 32, 32, 3)), "uint8"),
        (np.zeros((2, 32, 32, 4), np.uint8), r"\(2, 32, 32, 4\)"),
        (np.zeros((0, 32, 32, 3), np.uint8), "empty"),
        ([], "empty"),
        ([3], "int"),
        ("no/such.jpg", r"no/such\.jpg"),
    ],
)
def test_what_is_no_picture_is_one_line(images, match, trained):
    for ask in (trained.predict, lambda images: trained.features(images, "logits")):
        with pytest.raises(InputError, match=match) as error:
            ask(images)
        assert "\n" not in str(error.value)


def test_wrong_questions_are_one_line(trained):
    for ask, match in (
        (lambda: trained.predict("x.png", top=0), "top=0"),
        (lambda: trained.evaluate("robustnes"), "'robustness'"),
        (lambda: trained.evaluate("robustness", severty=[1]), "severities"),
        (lambda: trained.evaluate("robustness", workers="many"), "many"),
        (lambda: trained.evaluate("robustness", protocol="imagenet"), "imagenet_c"),
        (lambda: trained.evaluate("robustness", reference=1), "True or False"),
        (lambda: trained.features(np.zeros((1, 32, 32, 3), np.uint8), "logit"), "'logits'"),
    ):
        with pytest.raises(InputError, match=match) as error:
            ask()
        assert "\n" not in str(error.value)


def test_measures_take_numbers_and_lists(trained):
    result = trained.evaluate("robustness", corruptions="contrast", severities=(5,))
    assert json.loads((trained.path / "evaluation" / "robustness.json").read_text()) == result
    assert result["scores"]["corruptions"].keys() == {"contrast"}


def test_other_tasks_say_what_they_do_instead(trained, tmp_path):
    recorded = json.loads((trained.path / "config.json").read_text())
    stdp = {"config": {"task": "stdp"}, "resolved": recorded["resolved"]}
    write_json(tmp_path / "config.json", stdp)
    run = jaxbio.open_run(tmp_path)
    image = np.zeros((1, 32, 32, 3), np.uint8)
    with pytest.raises(InputError, match="jaxbio spiking"):
        run.predict(image)
    with pytest.raises(InputError, match="evaluate"):
        run.features(image)
    with pytest.raises(InputError, match="robustness"):
        run.evaluate("robustness")


def _converted(path):
    from jaxbio.ops.images import Preprocessing
    from jaxbio.runs.checkpoints import export_variables

    variables = Tiny(10).init(jax.random.key(3), np.zeros((1, 32, 32, 3), np.float32))
    arguments = {"name": "tiny", "num_classes": 10, "image_size": 32, "front_end": "none"}
    images = Preprocessing(32, (0.4,) * 3, (0.2,) * 3)
    export_variables(path, arguments, variables, preprocessing=images, provenance={})
    return variables


def test_converted_weights_open_without_a_configuration(tmp_path):
    variables = _converted(tmp_path / "weights")
    run = jaxbio.open_run(tmp_path / "weights")
    assert run.session.preprocessing.mean == pytest.approx((0.4,) * 3)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    expected, _ = Tiny(10).apply(variables, (images / np.float32(255) - 0.4) / np.float32(0.2))
    np.testing.assert_allclose(run.features(images, "logits")["logits"], expected, atol=1e-4)
    assert run.predict(images)[0].name == str(int(expected[0].argmax()))
    with pytest.raises(InputError, match="config="):
        run.evaluate("accuracy")
    images = {"data.mean": (0.4,) * 3, "data.std": (0.2,) * 3}
    with_data = jaxbio.open_run(tmp_path / "weights", config="svp_resnet", overrides=images)
    assert 0 <= with_data.evaluate("accuracy")["top1"] <= 1


@pytest.mark.slow  # compiles a network of the registry
def test_a_network_by_name():
    model = jaxbio.load_model("squeezenet1_1", image_size=32, num_classes=3)
    assert (model.num_classes, model.preprocessing.image_size) == (3, 32)
    assert model.preprocessing.mean == (0.485, 0.456, 0.406)
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    normalised = model.preprocessing.normalise(jax.numpy.asarray(images))
    logits, endpoints = jax.jit(model.module.apply)(model.variables, normalised)
    assert logits.shape == (2, 3)
    found = model.features(images, ["logits", "penultimate"])
    np.testing.assert_allclose(found["logits"], logits, atol=1e-4)
    assert found["penultimate"].shape == endpoints["penultimate"].shape


def test_weights_of_a_file(tmp_path):
    state = generated("squeezenet1_1", num_classes=3, image_size=32)
    tensors = {name: ("F32", list(v.shape), v.tobytes()) for name, v in state.items()}
    file = safetensors(tmp_path / "weights.safetensors", tensors)
    model = jaxbio.load_model("squeezenet1_1", file, image_size=32, mean=(0.1, 0.2, 0.3))
    expected = jaxbio.weights.from_torch("squeezenet1_1", state, num_classes=3, image_size=32)
    same(model.variables, expected)
    assert model.num_classes == model.module.num_classes == 3
    assert model.preprocessing.mean == (0.1, 0.2, 0.3)
    with pytest.raises(InputError, match=r"classifier\.1\.bias") as error:
        jaxbio.load_model("squeezenet1_1", file, num_classes=5)
    assert "\n" not in str(error.value)


def test_class_names_of_a_file(monkeypatch):
    state = generated("cornet_z", num_classes=3, image_size=32)
    for recorded, names in (
        ({"class_names": ["a", "b", "c"]}, ["a", "b", "c"]),
        ({"class_to_idx": {"a": 2, "b": 0, "c": 1}}, ["b", "c", "a"]),
        ({"idx_to_class": {0: "c", 1: "a", 2: "b"}}, ["c", "a", "b"]),
        ({"classes": ["a", "b"]}, None),
        ({"class_to_idx": {"a": 0, "b": 2}}, None),
        ({"labels": {"a": [0, 1, 2]}}, None),
        ({}, None),
    ):
        content = {"state_dict": state, **recorded}
        monkeypatch.setattr("jaxbio.api.model.read_torch", lambda _, content=content: content)
        model = jaxbio.load_model("cornet_z", "weights.pth", image_size=32)
        assert model.class_names == names
    with pytest.raises(InputError, match="class_names"):
        jaxbio.load_model("cornet_z", "weights.pth", image_size=32, class_names=["a"])


def test_wrong_networks_and_files_are_one_line(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"not a checkpoint")
    for arguments, match in (
        (("resnet19",), "resnet18"),
        (("resnet18", tmp_path / "none.pth"), r"none\.pth"),
        (("resnet18", tmp_path / "broken.pth"), r"broken\.pth"),
        (("resnet18", tmp_path), "open_run"),
    ):
        with pytest.raises(InputError, match=match) as error:
            jaxbio.load_model(*arguments)
        assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def patterns():
    """Responses of 12 images, and RDMs of four subjects who see the same with noise."""
    rng = np.random.default_rng(0)
    responses = rng.normal(size=(12, 2, 3, 5))
    noisy = responses.reshape(12, -1) + 0.5 * rng.normal(size=(4, 12, 30))
    return responses, np.asarray(jaxbio.similarity.rdm(noisy))


def _direct(responses, rdms):
    """Every subject's score."""
    own = jaxbio.similarity.upper(jaxbio.similarity.rdm(responses.reshape(12, -1)))
    return jaxbio.similarity.compare(own, jaxbio.similarity.upper(rdms), "spearman")


@pytest.mark.slow
def test_rsa_is_the_bootstrap_in_one_line(patterns):
    responses, rdms = patterns
    few = {"over": "subjects", "n_bootstrap": 200}
    found = jaxbio.rsa(responses, rdms, **few)
    assert found.score == pytest.approx(float(_direct(responses, rdms).mean()), abs=1e-5)
    assert found.low < found.score < found.high
    assert found.ceiling[0] < found.ceiling[1]
    assert found.p < 0.01
    assert f"{found.score:.3f}" in str(found)
    assert jaxbio.rsa(responses, np.asarray(jaxbio.similarity.upper(rdms)), **few) == found
    assert jaxbio.rsa({"layer": responses}, rdms, **few) == {"layer": found}


@pytest.mark.slow  # compiles three bootstraps
def test_rsa_generalises_to_subjects_and_images_by_default(patterns):
    responses, rdms = patterns
    both = jaxbio.rsa(responses, rdms)
    subjects = jaxbio.rsa(responses, rdms, over="subjects")
    assert both.score == subjects.score == pytest.approx(float(_direct(responses, rdms).mean()))
    assert both.high - both.low > subjects.high - subjects.low
    noise = np.random.default_rng(9).normal(size=(12, 40))
    layers = jaxbio.rsa({"good": responses, "noise": noise}, rdms, over="subjects")
    assert layers["good"].score == pytest.approx(subjects.score)
    assert layers["noise"].score < 0.3 < layers["good"].score


def test_wrong_rdms_are_one_line(patterns):
    responses, rdms = patterns
    bent, off = rdms.copy(), rdms + 1
    bent[0, 1, 2] += 1
    for features, given, match in (
        (responses, rdms[0], "1 subject"),
        (responses, rdms[:1], "1 subject"),
        (responses, bent, "symmetric"),
        (responses, off, "diagonal"),
        (responses[:9], rdms, "9 images"),
        (responses[:3], rdms, "4 images"),
        ({}, rdms, "empty"),
        ({"a": responses, "b": responses[:9]}, rdms, r"\[9, 12\]"),
    ):
        with pytest.raises(InputError, match=match) as error:
            jaxbio.rsa(features, given)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="rho-a"):
        jaxbio.rsa(responses, rdms, method="rho")


class _Quiet(doctest.OutputChecker):
    """Progress and tables are no part of an example: where no output is stated, any will do."""

    def check_output(self, want, got, optionflags):
        return not want or super().check_output(want, got, optionflags)


_EXAMPLES = (
    "jaxbio.train",
    "jaxbio.open_run",
    "jaxbio.wrap",
    "jaxbio.rsa",
    "jaxbio.score",
    "jaxbio.api.run.Run.predict",
    "jaxbio.api.run.Run.evaluate",
    "jaxbio.api.network.Network.predict",
    "jaxbio.api.network.Network.features",
    "jaxbio.api.network.Network.evaluate",
    "jaxbio.api.network.Network.plot",
    "jaxbio.similarity.rdm",
    "jaxbio.similarity.compare",
    "jaxbio.features.layers.layer_shapes",
    *(
        pytest.param(name, marks=pytest.mark.slow)  # these compile networks of the registry
        for name in (
            "jaxbio.load_model",
            "jaxbio.create_model",
            "jaxbio.features.extract",
            "jaxbio.api.network.Network.similarity",
        )
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", _EXAMPLES)
def test_examples_run(name, trained, digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(digits[0][0].squeeze()).save("cat.jpg")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "svp_resnet_digits").symlink_to(trained.path)
    thing = functools.reduce(getattr, name.split(".")[1:], jaxbio)
    given = {"jaxbio": jaxbio, "jax": jax, "jnp": jax.numpy, "np": np, "run": trained}
    names = {**vars(sys.modules[thing.__module__]), **given, "folder": tmp_path}
    (example,) = doctest.DocTestFinder(recurse=False).find(thing, name, globs=names)
    assert example.examples
    runner = doctest.DocTestRunner(_Quiet(), optionflags=doctest.ELLIPSIS)
    assert runner.run(example).failed == 0


def test_every_public_function_has_an_example():
    names = [name for name in vars(jaxbio)["_LAZY"] if name not in ("InputError", "list_models")]
    tested = {getattr(entry, "values", [entry])[0] for entry in _EXAMPLES}
    assert {f"jaxbio.{name}" for name in names} <= tested


def test_figures_of_runs_and_results(trained):
    curves = trained.plot()
    assert len(curves.axes) == 2
    cells = {"fog/1": {"top1": 0.6}, "fog/3": {"top1": 0.4}, "frost/1": {"top1": 0.5}}
    picture = trained.plot({"cells": cells, "clean": {"top1": 0.9}}).axes[0].images[0]
    np.testing.assert_allclose(
        picture.get_array(), 100 * np.array([[0.6, 0.4], [0.5, np.nan]]), equal_nan=True
    )
    rows = [
        {"bin": "", "measure": m, "layer": "a", "step": None, "score": s, "low": s, "high": s}
        for m, s in (("cka", 0.25), ("rsa", 0.5))
    ]
    limits = [
        {"bin": "", "measure": m, "low": None, "high": None, "what": None} for m in ("cka", "rsa")
    ]
    result = {"scores": rows, "ceilings": limits, "synthetic": False}
    for measure, height in ((None, 0.25), ("rsa", 0.5)):
        (bar,) = trained.plot(result, measure).axes[0].patches
        assert bar.get_height() == height
    for ask, match in (
        (lambda: trained.plot("similarity"), "evaluate"),
        (lambda: trained.plot("curve"), "curves"),
        (lambda: trained.plot({}), "neither"),
        (lambda: trained.plot(result, "ridge"), "cka, rsa"),
        (lambda: jaxbio.wrap(lambda x: x.mean((1, 2)), image_size=32).plot(), "classifier"),
    ):
        with pytest.raises(InputError, match=match):
            ask()


def test_a_run_is_measured_on_other_pictures(trained, digits):
    images, labels = digits
    own = trained.evaluate("accuracy")
    shuffled = np.random.default_rng(0).permutation(len(labels))
    names = np.array([str(label) for label in labels])[shuffled]
    other = trained.evaluate("accuracy", data=(images[shuffled], names))
    assert other["count"] == own["count"]
    again = json.loads((trained.path / "evaluation" / "accuracy.json").read_text())
    assert again == own  # kept: the others have a folder of their own
    assert list((trained.path / "on").glob("arrays_*/evaluation/accuracy.json"))

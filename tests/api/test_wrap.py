"""Networks of a user's own: whatever they are written in, they are asked as a run is."""

import dataclasses
import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from PIL import Image

import jaxbio
from jaxbio.errors import InputError

SIZE = 32


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (6, SIZE, SIZE, 3)).astype(np.uint8)


class Block(nn.Module):
    """What people write: a flag of their own, BatchNorm, dropout."""

    @nn.compact
    def __call__(self, x, training):
        x = nn.BatchNorm(use_running_average=not training)(nn.Conv(4, (3, 3), strides=2)(x))
        return nn.Dropout(0.5, deterministic=not training)(nn.relu(x))


class Net(nn.Module):
    """Two blocks that are called by a flag."""

    @nn.compact
    def __call__(self, x, training):
        x = Block()(Block()(x, training), training)
        return nn.Dense(3)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def linen():
    net = Net()
    init = jax.jit(net.init, static_argnums=2)
    return net, init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)), False)


def test_a_linen_module_and_its_submodules(linen, images):
    net, variables = linen
    model = jaxbio.wrap(net, variables, SIZE)
    found = model.features(images, "all")
    assert list(found)[-1] == "logits"
    assert {"Block_0", "Block_1.Conv_0", "Block_1.Dropout_0", "Dense_0"} < found.keys()
    expected = net.apply(variables, model.preprocessing.normalise(images), training=False)
    np.testing.assert_allclose(found["logits"], expected, atol=1e-5)
    assert found["Block_1"].shape == (6, 16, 16, 4)  # Flax counts from outside
    bound = jaxbio.wrap(net.bind(variables), image_size=SIZE, layers="Block_?")
    few = bound.features(images, "all")
    assert sorted(few) == ["Block_0", "Block_1", "logits"]
    np.testing.assert_array_equal(few["Block_0"], found["Block_0"])


class Part(nnx.Module):
    def __init__(self, channels, rngs):
        self.conv = nnx.Conv(channels, 4, (3, 3), strides=2, rngs=rngs)
        self.bn, self.drop = nnx.BatchNorm(4, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        return self.drop(nnx.relu(self.bn(self.conv(x))))


class Nnx(nnx.Module):
    """The second part is called twice."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.parts = nnx.List([Part(3, rngs), Part(4, rngs)])
        self.head = nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        first, second = self.parts
        return self.head(second(second(first(x))).mean((1, 2)))


def test_an_nnx_module_is_left_in_its_mode(images):
    net = Nnx()
    model = jaxbio.wrap(net, image_size=SIZE)
    found = model.features(images, ["parts.0", "parts.1.conv", "logits"])
    assert found["parts.0"].shape == (6, 16, 16, 4)
    assert found["parts.1.conv"].shape == (6, 4, 4, 4)  # of the last call
    assert not net.parts[0].drop.deterministic
    net.eval()
    np.testing.assert_allclose(
        found["logits"], net(model.preprocessing.normalise(images)), atol=1e-5
    )


def _brightness(images):
    """Logits: the three channels' means."""
    return images.mean((1, 2))


def test_a_function_on_either_side(images):
    expected = _brightness(images / 255.0)
    plain = {"image_size": SIZE, "mean": (0,) * 3, "std": (1,) * 3}
    traced = jaxbio.wrap(_brightness, **plain)
    with_variables = jaxbio.wrap(lambda v, x: v["scale"] * x.mean((1, 2)), {"scale": 2.0}, **plain)

    def numpy_only(images):
        assert isinstance(images, np.ndarray)
        return {"half": images[:, ::2, ::2], "logits": _brightness(images)}

    hosted = jaxbio.wrap(numpy_only, host=True, **plain)
    np.testing.assert_allclose(traced.features(images, "logits")["logits"], expected, atol=1e-6)
    doubled = with_variables.features(images, "all")
    assert list(doubled) == ["logits"]
    np.testing.assert_allclose(doubled["logits"], 2 * expected, atol=1e-6)
    found = hosted.features(images, "all")
    assert list(found) == ["half", "logits"]
    np.testing.assert_allclose(found["half"], (images / 255.0)[:, ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(found["logits"], expected, atol=1e-6)
    assert hosted.predict(images[0])[0].classes == traced.predict(images[0])[0].classes


def test_jaxbios_own_networks_keep_their_time(images):
    class Recurrent(nn.Module):
        arrival_steps = {"area": 1}  # noqa: RUF012

        @nn.compact
        def __call__(self, x, train=False):
            state = nn.avg_pool(x, (8, 8), (8, 8))
            return None, {"area": jnp.stack([0 * state, state])}

    model = jaxbio.wrap(Recurrent(), {}, SIZE)
    assert model.features(images, "area")["area"].shape == (6, 2, 4, 4, 3)
    assert model.features(images, "area", times=[1])["area"].shape == (6, 1, 4, 4, 3)


def test_a_backbone_has_layers_and_an_output(images):
    net = nn.Sequential([nn.Conv(2, (3, 3), strides=4), nn.relu])
    variables = net.init(jax.random.key(0), jnp.zeros((1, SIZE, SIZE, 3)))
    model = jaxbio.wrap(net, variables, SIZE)
    found = model.features(images, "all")
    assert list(found) == ["layers_0", "output"]
    np.testing.assert_array_equal(found["output"], np.maximum(found["layers_0"], 0))
    assert model.num_classes == 0


def test_without_logits_there_is_what_needs_none(images):
    model = jaxbio.wrap(lambda x: {"map": x[:, ::4, ::4]}, image_size=SIZE)
    assert model.num_classes == 0
    assert model.features(images, "map")["map"].shape == (6, 8, 8, 3)
    for ask in (
        lambda: model.predict(images),
        lambda: model.evaluate("accuracy", data=(images, [0] * 6)),
    ):
        with pytest.raises(InputError, match="logits") as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.fixture(scope="module")
def colours():
    """Pictures of one colour each, and the colours' numbers."""
    labels = np.array([0, 1, 2, 2, 1])
    images = np.zeros((5, SIZE, SIZE, 3), np.uint8)
    images[np.arange(5), :, :, labels] = 255
    return images, labels


def test_accuracy_on_arrays_files_and_folders(colours, tmp_path):
    images, labels = colours
    model = jaxbio.wrap(_brightness, image_size=SIZE, class_names=["red", "green", "blue"])
    wrong = np.array([0, 1, 2, 2, 0])
    assert model.evaluate("accuracy", data=(images, labels))["top1"] == 1
    assert model.evaluate("accuracy", data=(images, wrong))["top1"] == pytest.approx(0.8)
    names = np.array(model.class_names)[wrong]
    assert model.evaluate("accuracy", data=(images, names))["top1"] == pytest.approx(0.8)
    # A part of the classes, in an order that is not that of the logits.
    paths = []
    for number, (image, label) in enumerate(zip(images[1:], wrong[1:], strict=True)):
        folder = tmp_path / "photographs" / "val" / model.class_names[label]
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    result = model.evaluate("accuracy", data=tmp_path / "photographs")
    assert (result["top1"], result["count"]) == (pytest.approx(0.75), 4)
    assert model.evaluate("accuracy", data=(paths, labels[1:]))["top1"] == 1
    (tmp_path / "photographs" / "val" / "red").rename(tmp_path / "photographs" / "val" / "grene")
    with pytest.raises(InputError, match="'green'"):
        model.evaluate("accuracy", data=tmp_path / "photographs")


def test_robustness_is_written_where_it_is_said_and_goes_on(colours, tmp_path):
    model = jaxbio.wrap(_brightness, image_size=SIZE, workdir=tmp_path / "mine")
    result = model.evaluate("robustness", data=colours, corruptions="contrast", severities=(5,))
    (file,) = (tmp_path / "mine" / "on").glob("*/evaluation/robustness.json")
    assert json.loads(file.read_text()) == result
    assert result["cells"].keys() == {"contrast/5"}
    assert result["clean"]["top1"] == 1
    other = jaxbio.wrap(_brightness, image_size=SIZE, workdir=tmp_path / "mine")
    with pytest.raises(InputError, match="workdir"):
        other.evaluate("accuracy", data=colours)


@pytest.mark.slow  # draws the report
def test_similarity_of_any_network():
    recordings = jaxbio.neural.synthetic_recordings(
        views=5, image_size=SIZE, sites=10, repetitions=2
    )
    model = jaxbio.wrap(lambda x: {"map": x[:, ::4, ::4]}, image_size=SIZE, name="colours")
    result = model.similarity(recordings, measures="cka")
    assert [(row["layer"], row["measure"]) for row in result["scores"]] == [("map", "cka")]
    assert result["model"]["name"] == "colours"


@pytest.mark.slow  # compiles the attack
def test_attacks_follow_the_gradients_of_any_traced_network(colours):
    model = jaxbio.wrap(_brightness, image_size=SIZE, mean=(0,) * 3, std=(1,) * 3)
    options = {"norm": "linf", "epsilon": ["0.25", "0.75"], "no_controls": True}
    robust = model.evaluate("attacks", data=colours, **options)["accuracy_under_attack"]["linf"]
    assert [cell["accuracy"] for cell in robust.values()] == [1, 0]  # halfway is 0.5
    hosted = jaxbio.wrap(_brightness, image_size=SIZE, host=True)
    with pytest.raises(InputError, match="gradients"):
        hosted.evaluate("attacks", data=colours)


@pytest.mark.parametrize(
    ("network", "options", "match"),
    [
        (3, {}, "int"),
        (Net(), {}, "variables"),
        (_brightness, {"image_size": 0}, "image_size=0"),
        (_brightness, {"std": (1, 1, 0)}, "std"),
        (_brightness, {"mean": (1, 1)}, "mean"),
        (_brightness, {"layers": ["logit"]}, "logit"),
        (_brightness, {"class_names": ["a"]}, "class_names"),
        (_brightness, {"variables": {}, "host": True}, "variables"),
        (lambda x: x.sum(), {}, "neither"),
        (lambda x: x.reshape(-1, 7), {}, "reshape"),
        (lambda x: np.asarray(x).mean((1, 2)), {}, "host=True"),
    ],
)
def test_what_is_no_network_is_one_line(network, options, match):
    with pytest.raises(InputError, match=match) as error:
        jaxbio.wrap(network, **{"image_size": SIZE, **options})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("none", "none"),
        (7, "int"),
        ((np.zeros((2, SIZE, SIZE, 3)), [0, 1]), "uint8"),
        ((np.zeros((2, SIZE, SIZE, 3), np.uint8), [0]), "1 labels"),
        ((np.zeros((1, SIZE, SIZE, 3), np.uint8), [3]), "3 classes"),
        ((np.zeros((1, SIZE, SIZE, 3), np.uint8), [0.5]), "float64"),
        ((np.zeros((1, SIZE, SIZE, 3), np.uint8), ["cat"]), "class_names"),
        ((np.zeros((0, SIZE, SIZE, 3), np.uint8), []), "empty"),
        ((["no.png"], [0]), r"no\.png"),
        (None, "data="),
    ],
)
def test_wrong_data_is_one_line(data, match):
    model = jaxbio.wrap(_brightness, image_size=SIZE)
    with pytest.raises(InputError, match=match) as error:
        model.evaluate("accuracy", data=data)
    assert "\n" not in str(error.value)


def test_a_torch_module_with_hooks_and_gradients(colours, images):
    """Parity with the module itself; an optional peer, whose users have it anyway."""
    torch = pytest.importorskip("torch")
    layers = torch.nn
    net = layers.Sequential(
        layers.Conv2d(3, 4, 3, 2),
        layers.BatchNorm2d(4),
        layers.ReLU(inplace=True),
        layers.Dropout(0.5),
        layers.AdaptiveAvgPool2d(1),
        layers.Flatten(),
        layers.Linear(4, 3),
    )
    net[1].eval()  # frozen; stays so
    model = jaxbio.wrap(net, image_size=SIZE)
    found = model.features(images, "all")
    assert net.training
    assert not net[1].training
    assert (found["1"] < 0).any()  # before the ReLU that works in place
    assert found["0"].shape == (6, 15, 15, 4)
    net.eval()
    normalised = np.array(model.preprocessing.normalise(images)).transpose(0, 3, 1, 2)
    inputs = torch.from_numpy(normalised.copy()).requires_grad_()
    with torch.no_grad():
        np.testing.assert_allclose(found["logits"], net(inputs), atol=1e-5)
        np.testing.assert_allclose(found["0"], net[0](inputs).permute(0, 2, 3, 1), atol=1e-5)

    def loss(x):
        return (model.module.apply({}, x)[0] ** 2).sum()

    (net(inputs) ** 2).sum().backward()
    slope = jax.jit(jax.grad(loss))(model.preprocessing.normalise(images))
    np.testing.assert_allclose(slope, inputs.grad.permute(0, 2, 3, 1), atol=1e-5)
    assert 0 <= model.evaluate("accuracy", data=colours)["top1"] <= 1
    one, two = (jaxbio.wrap(net, image_size=SIZE).session.run.path for _ in range(2))
    assert one == two
    with torch.no_grad():
        net[-1].bias += 1
    assert jaxbio.wrap(net, image_size=SIZE).session.run.path != one
    only = dataclasses.replace(model.module, names=("2",))
    assert list(only.apply({}, model.preprocessing.normalise(images))[1]) == ["2"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only: sets the core")
def test_calls_of_the_host_do_not_wait_for_the_core_that_they_hold():
    """With one core: handing over arrays by a thread of XLA's pool would wait for ever."""
    code = """
import os
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
import jax, numpy as np, jaxbio
model = jaxbio.wrap(lambda x: x.mean((1, 2)), image_size=128, host=True)
images = np.zeros((64, 128, 128, 3), np.uint8)
for _ in range(3):
    assert model.features(images, "logits")["logits"].shape == (64, 3)
pairs = jax.vmap(lambda x: model.module.apply({}, x)[0])(np.ones((2, 3, 128, 128, 3), np.float32))
assert pairs.shape == (2, 3, 3)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)

"""The published feature layer of all 20 extractors: its width and the map it is pooled from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.features import layer_shapes
from jaxbio.models import densenet

_RESNETS = {18: 512, 34: 512, 50: 2048, 101: 2048, 152: 2048}
_DENSENETS = {121: 1024, 161: 2208, 169: 1664, 201: 1920}
_VGGS = [f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")]
_EXPECTED = {
    "alexnet": ("fc2", (4096,), 4096),
    **dict.fromkeys(_VGGS, ("fc2", (4096,), 4096)),
    **{f"resnet{depth}": ("layer4", (7, 7, n), n) for depth, n in _RESNETS.items()},
    **{f"densenet{depth}": ("norm5", (7, 7, n), n) for depth, n in _DENSENETS.items()},
    "squeezenet1_0": ("features", (13, 13, 512), 512),
    "squeezenet1_1": ("features", (13, 13, 512), 512),
}
_QUICK = ("alexnet", "vgg11_bn", "resnet18", "squeezenet1_0", "squeezenet1_1")


def test_there_are_twenty():
    assert len(_EXPECTED) == 20


@pytest.mark.parametrize(
    "name", [n if n in _QUICK else pytest.param(n, marks=pytest.mark.slow) for n in _EXPECTED]
)
def test_width_and_map_at_224_pixels(name):
    model = create_model(name)
    images = jnp.zeros((1, 224, 224, 3))
    variables = jax.eval_shape(lambda: model.init(jax.random.key(0), images))
    layers = layer_shapes(model, variables, 224)
    source, shape, width = _EXPECTED[name]
    assert layers[source].shape == shape
    assert layers["penultimate"].shape == (width,)


def _run(name, size):
    model = create_model(name, num_classes=3, image_size=size)
    images = jax.random.normal(jax.random.key(1), (2, size, size, 3))
    rng = np.random.default_rng(0)

    # Norms at their initial values would hide their place; those values take long to compile.
    def drawn(path, leaf):
        if leaf.ndim == 1:
            low = 0.5 if path[-1].key in ("scale", "var") else -0.3
            return rng.uniform(low, low + 1, leaf.shape).astype(np.float32)
        return rng.normal(0, np.prod(leaf.shape[:-1]) ** -0.5, leaf.shape).astype(np.float32)

    shapes = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), images)
    variables = jax.tree.map_with_path(drawn, shapes)
    logits, endpoints = jax.jit(model.apply)(variables, images)
    return variables["params"], np.asarray(logits), endpoints


@pytest.mark.slow
def test_before_the_relu_of_alexnet():
    params, logits, endpoints = _run("alexnet", 64)
    penultimate = np.asarray(endpoints["penultimate"])
    assert (penultimate < 0).any()
    last = params["classifier_6"]
    expected = np.maximum(penultimate, 0) @ np.asarray(last["kernel"]) + np.asarray(last["bias"])
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_without_the_relu_of_densenet(monkeypatch):
    # All that is compared comes after the last block: its 58 layers take a minute to compile.
    monkeypatch.setitem(densenet._DEPTHS, 121, (32, (1, 1, 1, 1), 64))
    _, _, endpoints = _run("densenet121", 32)
    norm5 = np.asarray(endpoints["norm5"])
    np.testing.assert_allclose(endpoints["penultimate"], norm5.mean((1, 2)), rtol=1e-4, atol=1e-4)
    pooled = np.maximum(norm5, 0).mean((1, 2))
    np.testing.assert_allclose(endpoints["avgpool"], pooled, rtol=1e-4, atol=1e-4)
    assert (norm5 < 0).any()


@pytest.mark.slow
def test_the_mean_of_squeezenet_s_features():
    _, _, endpoints = _run("squeezenet1_1", 64)
    features = np.asarray(endpoints["features"])
    np.testing.assert_allclose(
        endpoints["penultimate"], features.mean((1, 2)), rtol=1e-5, atol=1e-6
    )

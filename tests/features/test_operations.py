"""Single operations of CORnets as layers, by the names of the published modules."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.features import FeatureRequest, extract
from jaxbio.features.layers import activity_of, inspect_model, select_layers
from jaxbio.models import create_model
from jaxbio.models.convolution import conv2d
from jaxbio.ops.images import Preprocessing

# Modules of the published programs; those of S run as often as its areas, each norm once.
_STEP_S = {"conv1", "nonlin1", "conv2", "nonlin2", "conv3", "nonlin3", "output"}
_NORMS_S = {"norm1", "norm2", "norm3"}
_ONCE_S = {"conv_input", "skip", "norm_skip"}
_V1_S = {"conv1", "norm1", "nonlin1", "pool", "conv2", "norm2", "nonlin2", "output"}
_INPUT_RT = {"conv_input", "norm_input", "nonlin_input"}
_STATE_RT = {"conv1", "norm1", "nonlin1", "output"}
_DECODER = {f"decoder.{name}" for name in ("avgpool", "flatten", "linear", "output")}


def steps_of(area, names, steps):
    return {f"{area}.{name}_{step}" for name in names for step in steps}


def published(name, times):
    if name == "cornet_z":
        areas = ("V1", "V2", "V4", "IT")
        return {f"{a}.{n}" for a in areas for n in ("conv", "nonlin", "pool", "output")} | _DECODER
    if name == "cornet_s":
        names = {f"V1.{n}" for n in _V1_S}
        for area, passes in zip(("V2", "V4", "IT"), times, strict=True):
            names |= {f"{area}.{n}" for n in _ONCE_S}
            names |= steps_of(area, _STEP_S | _NORMS_S, range(passes))
        return names | _DECODER
    names = {f"V1.{n}" for n in _INPUT_RT} | steps_of("V1", _STATE_RT, range(times))
    for area in ("V2", "V4", "IT"):  # no input at step 0
        names |= steps_of(area, _INPUT_RT, range(1, times))
        names |= steps_of(area, _STATE_RT, range(times))
    return names | _DECODER


def abstract(name, size=32, **options):
    model = create_model(name, num_classes=3, image_size=size, **options)
    x = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    return model, jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), x)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cornet_z", {}),
        ("cornet_s", {"times": (2, 3, 1)}),
        ("cornet_rt", {"times": 3}),
        ("cornet_r", {"times": 2, "remat": True}),
    ],
)
def test_every_published_module_is_a_layer_on_request(name, options):
    model, variables = abstract(name, **options)
    assert set(variables) <= {"params", "batch_stats"}
    layers, _ = inspect_model(model, variables, 32, operations=True)
    assert {n for n in layers if "." in n} == published(name, options.get("times"))
    plain, _ = inspect_model(model, variables, 32)
    assert not any("." in n for n in plain)
    assert list(select_layers(layers, FeatureRequest("all"))) == list(plain)


def test_a_name_without_step_asks_for_all_steps_or_those_of_times():
    model, variables = abstract("cornet_s", size=64)
    layers, _ = inspect_model(model, variables, 64, operations=True)
    every = select_layers(layers, FeatureRequest("V4.conv1"))
    assert [layer.shape for layer in every.values()] == [(8, 8, 1024)] + 3 * [(4, 4, 1024)]
    assert list(every) == [f"V4.conv1_{step}" for step in range(4)]
    assert list(select_layers(layers, FeatureRequest("V4.nonlin1", "last"))) == ["V4.nonlin1_3"]
    some = FeatureRequest(("IT", "V4.norm2", "V4.skip"), times=[0, 1])
    assert list(select_layers(layers, some)) == ["IT", "V4.norm2_0", "V4.norm2_1", "V4.skip"]
    with pytest.raises(InputError, match=r"'V4.convl'.*did you mean 'V4.conv"):
        select_layers(layers, FeatureRequest("V4.convl"))
    with pytest.raises(InputError, match="no step 7"):
        select_layers(layers, FeatureRequest("V4.conv1", times=[7]))


def random(variables, seed=0):
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[-1].key == "kernel":
            scale = np.sqrt(2 / np.prod(leaf.shape[-4:-1]))
            return jnp.asarray(scale * rng.standard_normal(leaf.shape), jnp.float32)
        return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(draw, variables)


@pytest.mark.slow  # compilation
@pytest.mark.parametrize("name", ["cornet_rt", "cornet_s"])
def test_operations_follow_from_one_another(name):
    """Each output is that of the module, given the output before it."""
    times = {"cornet_rt": 3, "cornet_s": (2, 3, 2)}[name]
    model, variables = abstract(name, times=times)
    variables = random(variables)
    images = jax.random.normal(jax.random.key(1), (2, 32, 32, 3))
    found = jax.jit(lambda v, x: activity_of(model, v, x, operations=True))(variables, images)
    plain = jax.jit(lambda v, x: activity_of(model, v, x))(variables, images)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)  # noqa: E731
    params = variables["params"]["V4"]
    for step in range(3):
        close(found[f"V4.output_{step}"], plain["V4"][step])
        for i in (1,) if name == "cornet_rt" else (1, 2):
            normed = found[f"V4.norm{i}_{step}"]
            close(found[f"V4.nonlin{i}_{step}"], np.maximum(normed, 0))
    for step in (1, 2):
        if name == "cornet_rt":
            inputs = conv2d(plain["V2"][step - 1], params["conv_input"]["kernel"], 2, 1)
            inputs = inputs + params["conv_input"]["bias"].reshape(1, 1, 1, -1)
            close(found[f"V4.conv_input_{step}"], inputs)
            seen = found[f"V4.nonlin_input_{step}"] + plain["V4"][step - 1]
            close(found[f"V4.conv1_{step}"], conv2d(seen, params["conv1"]["kernel"], 1, 1))
        else:
            seen = plain["V4"][step - 1]
            close(found[f"V4.conv1_{step}"], conv2d(seen, params["conv1"]["kernel"], 1, 0))
            seen = found[f"V4.nonlin1_{step}"]
            close(found[f"V4.conv2_{step}"], conv2d(seen, params["conv2"]["kernel"], 1, 1))
            residual = found[f"V4.norm3_{step}"] + plain["V4"][step - 1]
            close(found[f"V4.nonlin3_{step}"], np.maximum(residual, 0))
    close(found["decoder.linear"], plain["logits"])


def test_extraction_returns_what_was_asked_for():
    body = create_model("cornet_z", num_classes=3, image_size=32)
    variables = random(abstract("cornet_z")[1])
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    prepared = Preprocessing(32, (0.5,) * 3, (0.5,) * 3)
    request = FeatureRequest(("V1.nonlin", "V1"))
    (batch,) = extract(body, variables, images, request, prepared)
    assert set(batch) == {"V1.nonlin", "V1"}
    assert batch["V1.nonlin"].shape == (2, 16, 16, 64)
    pooled = batch["V1.nonlin"].reshape(2, 8, 2, 8, 2, 64).max((2, 4))
    assert (batch["V1"][:, 0] >= pooled).all()  # windows of 3 hold those of 2

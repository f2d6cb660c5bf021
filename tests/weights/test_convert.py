"""State dicts to variables: names, layouts, and what does not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.weights import WeightMismatchError, from_torch, load_torch, load_v2, reader

SMALL = {"num_classes": 3, "image_size": 32}


def needed(name, **kwargs):
    """PyTorch names and shapes that a model needs, from the converter's own report."""
    with pytest.raises(WeightMismatchError) as missing:
        from_torch(name, {}, **kwargs)
    names = missing.value.report.missing
    with pytest.raises(WeightMismatchError) as wrong:
        from_torch(name, dict.fromkeys(names, np.zeros((1,) * 5)), **kwargs)
    return {key: shape for key, (_, shape) in wrong.value.report.mismatched.items()}


def generated(name, **kwargs):
    """A state dict of the right shapes; the Gabor banks read one channel per filter."""
    rng = np.random.default_rng(0)
    state = {}
    for key, shape in needed(name, **kwargs).items():
        values = rng.uniform(0.5, 1.5, shape) / max(1, np.prod(shape[1:]))
        state[key] = values.astype(np.float32)
        if "simple_conv" in key:
            state[key][:, 1:] = 0
    return state


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def squeezenet():
    state = generated("squeezenet1_1", **SMALL)
    return state, from_torch("squeezenet1_1", state, **SMALL)


def test_layouts(squeezenet):
    state, variables = squeezenet
    kernel = variables["params"]["features_3"]["expand3x3"]["kernel"]
    np.testing.assert_array_equal(
        kernel, state["features.3.expand3x3.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(
        variables["params"]["classifier_1"]["bias"], state["classifier.1.bias"]
    )
    model = create_model("squeezenet1_1", **SMALL)
    expected = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, dict(expected))


def test_wrappings_and_counters(squeezenet):
    state, variables = squeezenet
    parallel = {f"module.{key}": value for key, value in state.items()}
    parallel["module.bn.num_batches_tracked"] = np.zeros((), np.int64)
    same(from_torch("squeezenet1_1", {"state_dict": parallel, "epoch": 3}, **SMALL), variables)
    same(from_torch("squeezenet1_1", {"model": parallel}, **SMALL), variables)


def test_batch_norm_and_indices():
    state = generated("resnet18", **SMALL)
    variables = from_torch("resnet18", state, **SMALL)
    for leaf, (collection, ours) in {
        "weight": ("params", "scale"),
        "bias": ("params", "bias"),
        "running_mean": ("batch_stats", "mean"),
        "running_var": ("batch_stats", "var"),
    }.items():
        np.testing.assert_array_equal(
            variables[collection]["layer2_0"]["downsample_1"][ours],
            state[f"layer2.0.downsample.1.{leaf}"],
        )


@pytest.mark.slow
def test_first_linear_layer_reads_channels_first():
    """The converted kernel applied to an HWC map is PyTorch's applied to the CHW one."""
    state = {k: np.zeros(shape, np.float32) for k, shape in needed("alexnet", **SMALL).items()}
    weight = state["classifier.1.weight"]
    weight[:] = np.random.default_rng(0).standard_normal(weight.shape, np.float32)
    kernel = from_torch("alexnet", state, **SMALL)["params"]["classifier_1"]["kernel"]
    features = np.random.default_rng(1).standard_normal((2, 256, 6, 6)).astype(np.float32)
    expected = features.reshape(2, -1) @ weight.T
    ours = features.transpose(0, 2, 3, 1).reshape(2, -1) @ np.asarray(kernel)
    # Sums of 9,216 products of size 1, in another order: 1e-5 of their standard deviation, 96.
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_old_densenet_names():
    state = generated("densenet121", **SMALL)
    assert "features.denseblock1.denselayer1.norm1.weight" in state
    old = {
        key.replace("norm1.", "norm.1.")
        .replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.")
        .replace("conv2.", "conv.2."): value
        for key, value in state.items()
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    same(from_torch("densenet121", old, **SMALL), from_torch("densenet121", state, **SMALL))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "front_end", "keys"),
    [
        (
            "resnet18",
            "svp",
            ["voneblock.bottleneck.weight", "vtwoblock.weight", "backend.layer2.0.conv1.weight"],
        ),
        ("resnet18", "vone", ["bottleneck.weight", "model.layer1.0.conv1.weight", "model.fc.bias"]),
        ("cornet_s", "vone", ["model.V2.norm1_0.weight", "model.decoder.linear.weight"]),
    ],
)
def test_names_behind_front_ends(name, front_end, keys):
    kwargs = {**SMALL, "front_end": front_end}
    state = generated(name, **kwargs)
    assert set(keys) <= set(state)
    assert any(key.endswith("block.simple_conv_q0.weight") for key in state)
    variables = from_torch(name, state, **kwargs)
    assert set(variables) == {"params", "batch_stats", "constants"}
    if front_end == "svp":
        np.testing.assert_array_equal(
            variables["constants"]["v2"]["kernel"], state["vtwoblock.weight"].transpose(2, 3, 1, 0)
        )
    model = create_model(name, **kwargs)
    logits, _ = jax.jit(model.apply)(variables, jnp.ones((1, 32, 32, 3)))
    assert np.isfinite(logits).all()


def test_what_does_not_fit_is_named(squeezenet):
    state, _ = squeezenet
    wrong = dict(state, **{"classifier.1.bias": np.zeros(1000, np.float32), "extra": np.zeros(1)})
    del wrong["features.0.weight"]
    with pytest.raises(WeightMismatchError) as error:
        from_torch("squeezenet1_1", wrong, **SMALL)
    message = str(error.value)
    assert "\n" not in message
    assert "missing: features.0.weight;" in message
    assert "unexpected: extra;" in message
    assert "classifier.1.bias is (1000,), needs (3,)" in message
    assert isinstance(error.value, ValueError)


def test_not_strict_keeps_initial_values_and_reports():
    """CORnet-Z: initial values are compiled, and its are few."""
    state = generated("cornet_z", **SMALL)
    expected = from_torch("cornet_z", state, **SMALL)
    wrong = dict(state, **{"decoder.linear.bias": np.zeros(9, np.float32), "extra": np.zeros(1)})
    del wrong["V2.conv.weight"]
    loose, report = from_torch("cornet_z", wrong, strict=False, **SMALL)
    assert report.missing == ("V2.conv.weight",)
    assert report.unexpected == ("extra",)
    assert report.mismatched == {"decoder.linear.bias": ((9,), (3,))}
    model = create_model("cornet_z", **SMALL)
    initial = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    expected["params"]["V2"]["conv"]["kernel"] = initial["V2"]["conv"]["kernel"]
    expected["params"]["decoder"]["linear"]["bias"] = initial["decoder"]["linear"]["bias"]
    same(loose, expected)


def test_not_strict_with_everything_in_place(squeezenet):
    state, variables = squeezenet
    loose, report = from_torch("squeezenet1_1", state, strict=False, **SMALL)
    assert not report
    same(loose, variables)


@pytest.mark.slow
def test_without_a_bank_the_drawn_one_stays():
    """A checkpoint without front-end still loads what it has."""
    kwargs = {**SMALL, "front_end": "svp"}
    state = generated("resnet18", **kwargs)
    body = {key: value for key, value in state.items() if key.startswith("backend.")}
    variables, report = from_torch("resnet18", body, strict=False, **kwargs)
    assert "voneblock.simple_conv_q0.weight" in report.missing
    model = create_model("resnet18", **kwargs)
    initial = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    same(variables["constants"], initial["constants"])


def test_load_torch_reads_and_converts(monkeypatch, squeezenet):
    state, variables = squeezenet
    monkeypatch.setattr(reader, "read_torch", lambda path: {"state_dict": state})
    same(load_torch("squeezenet1_1", "file.pth", **SMALL), variables)


@pytest.mark.parametrize("prefix", ["", "features.3."])
def test_load_v2(monkeypatch, prefix):
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((192, 64, 5, 5)), rng.standard_normal(192)
    content = {f"{prefix}weight": weight, f"{prefix}bias": bias, "features.0.bias": bias}
    monkeypatch.setattr(reader, "read_torch", lambda path: content)
    constants = load_v2("alexnet.pth")
    np.testing.assert_allclose(constants["kernel"], weight.transpose(2, 3, 1, 0), rtol=1e-6)
    np.testing.assert_allclose(constants["bias"], bias, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"fc.weight": np.zeros((2, 2))}, "no V2 weights; needs features.3.weight"),
        (
            {"weight": np.zeros((192, 3, 5, 5)), "bias": np.zeros(192)},
            r"weight is \(192, 3, 5, 5\)",
        ),
    ],
)
def test_load_v2_errors(monkeypatch, content, message):
    monkeypatch.setattr(reader, "read_torch", lambda path: content)
    with pytest.raises(ValueError, match=message):
        load_v2("file.pth")

"""What the conversion of a file takes from it: classes, sizes, options, preprocessing."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxbio import create_model
from jaxbio.errors import InputError
from jaxbio.files.pickles import Record
from jaxbio.ops.images import Preprocessing
from jaxbio.weights import WeightMismatchError, from_torch
from jaxbio.weights.convert import Plan, interpolate_positions
from jaxbio.weights.infer import convert
from tests.weights.test_convert import generated, same

DATA = Path(__file__).parent / "data"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
VIT = "vit_mini_patch8_32"


@pytest.fixture(scope="module")
def squeezenet():
    return generated("squeezenet1_1", num_classes=3, image_size=32)


@pytest.fixture(scope="module")
def vit():
    return generated(VIT, num_classes=3, image_size=32)


def test_defaults_of_a_plain_network(squeezenet):
    content = {"state_dict": {f"module.{k}": v for k, v in squeezenet.items()}}
    found = convert("squeezenet1_1", content)
    assert found.arguments == {
        "name": "squeezenet1_1",
        "front_end": "none",
        "front_end_options": {},
        "num_classes": 3,
        "image_size": 224,
        "activation": "relu",
    }
    assert found.preprocessing == Preprocessing(224, *IMAGENET)
    assert (found.count, found.notes, bool(found.report)) == (len(squeezenet), (), False)
    same(found.variables, from_torch("squeezenet1_1", squeezenet, num_classes=3))


def test_what_is_given_wins(squeezenet):
    options = {"image_size": 64, "mean": (0.1, 0.2, 0.3), "std": (1, 1, 1), "activation": "gelu"}
    found = convert("squeezenet1_1", squeezenet, **options)
    assert found.preprocessing == Preprocessing(64, (0.1, 0.2, 0.3), (1, 1, 1))
    assert found.arguments["activation"] == "gelu"
    with pytest.raises(WeightMismatchError, match=r"classifier\.1\.bias"):
        convert("squeezenet1_1", squeezenet, num_classes=5)


def test_normaliser_within_the_network(squeezenet):
    content = {f"module.model.{key}": value for key, value in squeezenet.items()}
    content["module.normalizer.new_mean"] = np.full((3, 1, 1), 0.4, np.float32)
    content["module.normalizer.new_std"] = np.full((3, 1, 1), 0.2, np.float32)
    found = convert("squeezenet1_1", {"model": content})
    assert found.preprocessing == Preprocessing(224, (0.4,) * 3, (0.2,) * 3)


@pytest.mark.parametrize("head", ["classifier.", "head.", "last_linear.", "classifier.0."])
def test_classifier_by_another_name(head, squeezenet):
    state = {key.replace("classifier.1.", head): value for key, value in squeezenet.items()}
    same(
        convert("squeezenet1_1", state).variables,
        from_torch("squeezenet1_1", squeezenet, num_classes=3),
    )


@pytest.mark.slow
def test_no_classifier(squeezenet):
    body = {key: value for key, value in squeezenet.items() if "classifier" not in key}
    with pytest.raises(InputError, match="--num_classes"):
        convert("squeezenet1_1", body)
    found = convert("squeezenet1_1", body, num_classes=3, strict=False)
    assert set(found.report.missing) == {"classifier.1.weight", "classifier.1.bias"}


def test_vision_transformers_are_gelu_and_of_the_size_of_their_positions(vit):
    found = convert(VIT, vit)
    assert found.arguments["activation"] == "gelu"
    assert found.preprocessing == Preprocessing(32, *HALF)


def test_torchvision_names_its_vision_transformers_otherwise(vit):
    state = {}
    for key, value in vit.items():
        key = re.sub(r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1.", key)
        for ours, theirs in {
            "cls_token": "class_token",
            "pos_embed": "encoder.pos_embedding",
            "patch_embed.proj": "conv_proj",
            ".norm": ".ln_",
            "attn.qkv.": "self_attention.in_proj_",
            "attn.proj": "self_attention.out_proj",
            "mlp.fc1": "mlp.0",
            "mlp.fc2": "mlp.3",
            "head": "heads.head",
        }.items():
            key = key.replace(ours, theirs)
        state[re.sub(r"^norm\.", "encoder.ln.", key)] = value
    assert "encoder.layers.encoder_layer_0.self_attention.in_proj_weight" in state
    found = convert(VIT, state)
    assert found.preprocessing == Preprocessing(32, *IMAGENET)
    same(found.variables, convert(VIT, vit).variables)


def test_positions_are_interpolated_to_the_size_asked_for(vit):
    """Reference values: timm.layers.resample_abs_pos_embed of timm 1.0 on PyTorch 2.13."""
    with np.load(DATA / "positions.npz") as reference:
        old, up, down = (reference[key] for key in ("old", "new", "down"))
    for expected in (up, down):
        found = interpolate_positions(old, expected.shape)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    wide = vit["pos_embed"].shape[-1] // old.shape[-1]
    found = convert(VIT, vit | {"pos_embed": np.tile(old, wide)}, image_size=48)
    positions = found.variables["params"]["pos_embed"]
    np.testing.assert_allclose(positions, np.tile(up, wide), atol=1e-6)
    assert found.preprocessing.image_size == 48
    assert any("interpolated" in note for note in found.notes)


def test_linear_layers_that_are_convolutions_in_the_file(vit):
    head = vit["head.weight"]
    state = vit | {"head.weight": head.reshape(*head.shape, 1, 1)}
    same(convert(VIT, state).variables, convert(VIT, vit).variables)


def test_names_of_vgg_in_timm():
    plan = Plan("vgg11", {"num_classes": 3, "image_size": 32})
    names = ("features.0", "pre_logits.fc1", "pre_logits.fc2", "head.fc")
    state = {f"{name}.weight": np.zeros(1) for name in names}
    found = plan.find(state, None, None)
    assert set(found.tensors) == {
        f"{name}.weight" for name in ("features.0", "classifier.0", "classifier.3", "classifier.6")
    }


@pytest.fixture(scope="module")
def vonenet():
    options = {"simple_channels": 8, "complex_channels": 8, "stride": 2, "k_exc": 23.0}
    kwargs = {"num_classes": 3, "image_size": 32, "front_end": "vone", "front_end_options": options}
    return generated("squeezenet1_1", **kwargs)


def test_recorded_options_of_a_vonenet(vonenet):
    flags = {
        **{"simple_channels": 8, "complex_channels": 8, "stride": 2, "k_exc": 23.0},
        **{"noise_mode": None, "noise_scale": 0.5, "ksize": 25, "rand_param": False, "epochs": 70},
    }
    state = {f"module.{key}": value for key, value in vonenet.items()}
    content = {"flags": flags, "state_dict": state | {"vone_block.div_u.weight": np.ones(1)}}
    found = convert("squeezenet1_1", content, image_size=32)
    assert found.arguments["front_end"] == "vone"
    assert found.arguments["front_end_options"] == {
        **{"simple_channels": 8, "complex_channels": 8, "stride": 2, "k_exc": 23.0},
        **{"noise_mode": "none", "noise_scale": 0.5, "kernel_size": 25, "param_mode": "neuronal"},
    }
    assert found.preprocessing == Preprocessing(32, *HALF)
    asked = convert("squeezenet1_1", content, image_size=32, front_end_options={"stride": 4})
    assert asked.arguments["front_end_options"]["stride"] == 4
    assert any("stride=4" in note and "2" in note for note in asked.notes)
    with pytest.raises(WeightMismatchError, match="simple_conv_q0"):
        convert("squeezenet1_1", {"state_dict": state}, image_size=32)


def test_tensors_that_no_array_holds(squeezenet):
    sparse = object.__new__(type("Record", (Record,), {"name": "sparse_tensor"}))
    sparse.fill((), None, [])
    assert not convert("squeezenet1_1", squeezenet | {"extra": sparse}).report
    with pytest.raises(InputError, match=r"classifier.1.bias.*sparse_tensor"):
        convert("squeezenet1_1", squeezenet | {"classifier.1.bias": sparse})


def test_converted_vision_transformer_runs(vit):
    found = convert(VIT, vit)
    arguments = {key: value for key, value in found.arguments.items() if key != "name"}
    images = np.ones((1, 32, 32, 3), np.float32)
    logits, _ = jax.jit(create_model(VIT, **arguments).apply)(found.variables, images)
    assert logits.shape == (1, 3)


def test_a_network_behind_a_retina():
    """Its V1 reads the four cells of the retina; nothing in the names says so, the user does."""
    rng = np.random.default_rng(0)
    arguments = {
        "num_classes": 3,
        "image_size": 32,
        "front_end": "evnet",
        "front_end_options": {"kernel_size": 9, "noise_mode": "none"},
    }
    plan = Plan("squeezenet1_1", arguments)
    content = {
        name: rng.standard_normal(target.shape).astype(np.float32)
        for name, target in plan.targets.items()
    }
    (banks,) = plan.constants.values()
    for name, shape in banks.items():
        assert shape[1] == 4
        bank = np.zeros(shape, np.float32)
        bank[np.arange(shape[0]), np.arange(shape[0]) % 4] = rng.standard_normal(shape[2:])
        content[name] = bank
    found = convert("squeezenet1_1", content, **arguments)
    assert found.count == len(content)
    assert found.arguments["front_end"] == "evnet"
    order = np.asarray(found.variables["constants"]["v1"]["order"])
    assert sorted(order) == list(range(len(bank)))

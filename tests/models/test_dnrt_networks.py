"""The networks that DNRT is shown on: endpoints, maps that are small, sizes that are wrong."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.models import activations, create_model
from jaxbio.models.bodies import find_body
from jaxbio.models.layers import Conv
from jaxbio.weights.convert import interpolate_positions


def shallow(name, **fields):
    """A network with one block where it has many: the same code, traced in no time."""
    body, preset = find_body(name)
    if "depth" in preset:
        preset = preset | {"depth": 1}
    return body(act=activations.make("gelu"), num_classes=5, **preset | fields)


def abstract(model, shape=(2, 32, 32, 3)):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    (logits, endpoints), variables = jax.eval_shape(model.init_with_output, key, x)
    assert logits.shape == (shape[0], 5)
    return variables, {name: leaf.shape for name, leaf in endpoints.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "cait_xxs24_patch4_32",
            {
                "block0": (2, 8, 8, 192),
                "class_block0": (2, 192),
                "class_block1": (2, 192),
                "tokens": (2, 65, 192),
                "penultimate": (2, 192),
            },
        ),
        ("tnt_s_patch4_32", {"block0": (2, 384), "tokens": (2, 65, 384), "penultimate": (2, 384)}),
        (
            "pvt_tiny_patch1_32",
            {
                "block1_0": (2, 32, 32, 64),
                "block1_1": (2, 32, 32, 64),
                "block2_0": (2, 16, 16, 128),
                "block2_1": (2, 16, 16, 128),
                "block3_0": (2, 8, 8, 320),
                "block3_1": (2, 8, 8, 320),
                "block4_0": (2, 512),
                "block4_1": (2, 512),
                "stage4": (2, 4, 4, 512),
                "tokens": (2, 17, 512),
                "penultimate": (2, 512),
            },
        ),
        (
            "shufflenet_v2_x1_0_32",
            {
                "stage2": (2, 16, 16, 116),
                "stage3": (2, 8, 8, 232),
                "stage4": (2, 4, 4, 464),
                "features": (2, 4, 4, 1024),
                "penultimate": (2, 1024),
            },
        ),
    ],
)
def test_endpoints(name, expected):
    model = shallow(name)
    _, endpoints = abstract(model)
    assert endpoints == expected | {"logits": (2, 5)}
    assert any(re.fullmatch(model.blocks, endpoint) for endpoint in endpoints)


@pytest.mark.parametrize(("after", "side", "channels"), [("v1", 8, 64), ("v2", 3, 128)])
@pytest.mark.parametrize("name", ["cait_xxs24_patch16_224", "tnt_s_patch16_224", "tnt_s_patch4_32"])
def test_patches_of_a_front_end_s_maps(name, after, side, channels):
    model = shallow(name, after=after)
    patch = max(1, model.patch // {"v1": 4, "v2": 8}[after])
    _, endpoints = abstract(model, (2, side, side, channels))
    assert endpoints["tokens"][1] == 1 + (side // patch) ** 2


def test_pvt_after_v2_starts_at_its_second_stage_and_pads_what_is_too_small():
    model = shallow("pvt_tiny_patch4_224", after="v2")
    variables, endpoints = abstract(model, (2, 3, 3, 128))
    assert "block1_0" not in endpoints
    assert endpoints["block2_0"] == (2, 3, 3, 128)
    assert endpoints["stage4"] == (2, 1, 1, 512)
    assert set(variables["params"]) >= {"patch_embed2", "pos_embed2", "block2_0"}


@pytest.mark.parametrize("name", ["cait_xxs24_patch4_32", "tnt_s_patch4_32"])
def test_images_of_the_wrong_size_are_named(name):
    model = shallow(name)
    with pytest.raises(InputError, match="34x34"):
        abstract(model, (1, 34, 34, 3))
    variables, _ = abstract(model)
    with pytest.raises(InputError, match=r"6[45] tokens"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 16, 16, 3)))
    with pytest.raises(InputError, match=r"drop_path=1\.5"):
        abstract(dataclasses.replace(model, drop_path=1.5))


def test_positions_without_a_class_token_are_interpolated():
    side, new = 4, 8
    rows, columns = np.mgrid[:side, :side]
    positions = np.stack([rows, columns], -1).reshape(1, side * side, 2).astype(np.float32)
    found = interpolate_positions(positions, (1, new * new, 2)).reshape(new, new, 2)
    # A plane stays a plane, away from the border, and every half is centred on its pixel.
    inside = (np.arange(new) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(found[3:5, 3:5, 0], np.tile(inside[3:5, None], 2), atol=1e-2)
    with_class = np.concatenate([np.full((1, 1, 2), 7, np.float32), positions], axis=1)
    both = interpolate_positions(with_class, (1, 1 + new * new, 2))
    np.testing.assert_array_equal(both[0, 0], 7)
    np.testing.assert_array_equal(both[0, 1:].reshape(new, new, 2), found)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_is_one_per_channel(stride):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((2, 7, 6, 3)), jnp.float32)
    kernel = jnp.asarray(rng.standard_normal((3, 3, 1, 3)), jnp.float32)
    module = Conv(3, 3, stride, depthwise=True)
    ours = module.apply({"params": {"kernel": kernel}}, x)
    one = Conv(1, 3, stride)
    channels = [
        one.apply({"params": {"kernel": kernel[..., i : i + 1]}}, x[..., i : i + 1])
        for i in range(3)
    ]
    np.testing.assert_allclose(ours, jnp.concatenate(channels, -1), rtol=1e-5, atol=1e-5)


def test_relu6_saturates():
    x = jnp.array([-1.0, 3.0, 9.0])
    np.testing.assert_array_equal(activations.make("relu6")(name="a").apply({}, x), [0, 3, 6])


def test_mobilenet_has_its_published_activation():
    assert create_model("mobilenet_v2").act is activations.make("relu6")

"""Every activation by name, in every kind of network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.models import activations, create_model

ADAPTIVE = [name for name in activations.list_activations() if name.startswith("raa")]
BODIES = [
    "alexnet", "vgg11_bn", "resnet18", "densenet121", "squeezenet1_1",
    "cornet_z", "cornet_r", "cornet_rt", "cornet_s", "vit_mini_patch8_32",
]  # fmt: skip


def test_names():
    assert activations.list_activations() == [
        "relu",
        "gelu",
        "raa",
        "raa_simple",
        "raa_elementwise",
        "raa2",
        "raa2_simple",
        "raa2_elementwise",
        "relu6",
    ]
    with pytest.raises(InputError, match="unknown activation 'swish'; valid: relu, gelu, raa, "):
        activations.make("swish")


@pytest.mark.parametrize("name", ADAPTIVE)
def test_shifts_start_at_zero_and_learn(name):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 6)), jnp.float32)
    unit = activations.make(name)(name="act")
    variables = unit.init(jax.random.key(0), x)
    base = activations.make("relu" if name.startswith("raa2") else "gelu")(name="act")
    np.testing.assert_allclose(unit.apply(variables, x), base.apply({}, x), atol=1e-6)
    slopes = jax.jit(jax.grad(lambda v: jnp.sum(unit.apply(v, x) ** 2)))(variables)["params"]
    expected = {"shift"} if name.endswith("_simple") else {"shift_kernel", "shift_bias"}
    assert set(slopes) == expected
    assert all(np.abs(slope).max() > 0 for slope in slopes.values())


def test_the_shift_is_one_number_per_pixel():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 3, 3, 4)), jnp.float32)
    kernel, bias = jnp.arange(4.0).reshape(4, 1) / 4, jnp.array([-0.5])
    params = {"shift_kernel": kernel, "shift_bias": bias}
    shift = np.sum(x * kernel.reshape(1, 1, 1, 4), -1, keepdims=True) - 0.5
    ours = activations.make("raa2")(name="act").apply({"params": params}, x)
    np.testing.assert_allclose(ours, np.maximum(x + shift, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_bfloat16_computes_shifts_in_float32(name):
    unit = activations.make(name)(name="act")
    x = jnp.ones((2, 3, 8), jnp.bfloat16)
    variables = unit.init(jax.random.key(0), x)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert unit.apply(variables, x).dtype == jnp.bfloat16


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "name"),
    [*((body, "raa") for body in BODIES), ("cornet_rt", "raa2_simple"), ("resnet18", "raa2")],
)
def test_every_network_takes_them(body, name):
    """Shapes only; recurrent networks included."""
    model = create_model(body, activation=name, num_classes=3, image_size=32)
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    (logits, _), variables = jax.eval_shape(model.init_with_output, key, x)
    leaf = "shift" if name.endswith("_simple") else "shift_kernel"
    paths = jax.tree_util.tree_leaves_with_path(variables["params"])
    assert any(path[-1].key == leaf for path, _ in paths)
    assert logits.shape == (2, 3)


def test_they_work_behind_a_front_end():
    model = create_model(
        "resnet18", activation="raa", num_classes=3, image_size=32, front_end="svp"
    )
    x = jax.ShapeDtypeStruct((2, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), x)
    assert "shift_kernel" in variables["params"]["body"]["layer4_0"]["act1"]

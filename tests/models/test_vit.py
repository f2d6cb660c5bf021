"""Vision transformers: sizes, tokens, stochastic depth, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.models import create_model
from jaxbio.models.vit import DropPath, PatchEmbedding
from jaxbio.weights import from_torch

MINI = {"name": "vit_mini_patch8_32", "num_classes": 3, "image_size": 32}


def abstract(model, size):
    x = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    (logits, endpoints), variables = jax.eval_shape(
        model.init_with_output, jax.eval_shape(lambda: jax.random.key(0)), x
    )
    return variables, logits, endpoints


@pytest.fixture(scope="module")
def mini():
    model = create_model(**MINI)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))


def test_one_token_per_patch_and_one_endpoint_per_block():
    _, logits, endpoints = abstract(create_model("vit_tiny_patch4_32", num_classes=7), 32)
    assert logits.shape == (2, 7)
    shapes = {name: leaf.shape for name, leaf in endpoints.items()}
    blocks = {f"block{i}": (2, 192) for i in range(12)}
    others = {"tokens": (2, 65, 192), "penultimate": (2, 192), "logits": (2, 7)}
    assert shapes == blocks | others


@pytest.mark.parametrize(
    ("name", "size", "front_end", "tokens"),
    [
        ("vit_tiny_patch4_32", 32, "vone", 8 * 8),  # V1 has stride 4
        ("vit_tiny_patch4_32", 32, "svp", 3 * 3),
        ("vit_tiny_patch16_224", 224, "none", 14 * 14),
        ("vit_tiny_patch16_224", 224, "vone", 14 * 14),
        ("vit_tiny_patch16_224", 224, "svp", 13 * 13),
    ],
)
def test_patches_of_front_end_maps_keep_the_number_of_tokens(name, size, front_end, tokens):
    model = create_model(name, num_classes=3, image_size=size, front_end=front_end)
    _, _, endpoints = abstract(model, size)
    assert endpoints["tokens"].shape == (2, 1 + tokens, 192)


def test_patches_are_convolved():
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, 16, 16, 3)), jnp.float32)
    embedding = PatchEmbedding(6, 8)
    ours, variables = jax.jit(embedding.init_with_output)(jax.random.key(0), x)
    kernel = variables["params"]["proj"]["kernel"]
    theirs = jax.lax.conv_general_dilated(
        x, kernel, (8, 8), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(ours, theirs.reshape(2, 4, 6), rtol=1e-4, atol=1e-5)


def test_drop_path_leaves_out_whole_examples():
    x = jnp.ones((4000, 2, 3))
    module = DropPath(0.25)
    keys = {"drop_path": jax.random.key(0)}
    y = module.apply({}, x, True, rngs=keys)
    per_example = np.asarray(y).reshape(4000, -1)
    np.testing.assert_array_equal(per_example, per_example[:, :1] * np.ones((1, 6)))
    assert set(np.unique(per_example).round(5)) == {0.0, np.float32(4 / 3).round(5)}
    assert 0.22 < (per_example[:, 0] == 0).mean() < 0.28
    np.testing.assert_array_equal(y, module.apply({}, x, True, rngs=keys))
    np.testing.assert_array_equal(module.apply({}, x, False), x)


@pytest.mark.slow
def test_stochastic_depth_acts_in_training_only(mini):
    plain, variables = mini
    model = create_model(**MINI, drop_path=0.5)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 32, 32, 3)), jnp.float32)
    keys = jax.random.split(jax.random.key(1))

    @jax.jit
    def run(variables, x):
        def train(key):
            return model.apply(variables, x, True, rngs={"drop_path": key})[1]

        return train(keys[0]), train(keys[1]), model.apply(variables, x), plain.apply(variables, x)

    one, other, evaluated, without = run(variables, x)
    np.testing.assert_array_equal(one["block0"], other["block0"])  # the first block stays
    assert not np.allclose(one["block5"], other["block5"])
    np.testing.assert_array_equal(evaluated[0], without[0])


def test_bfloat16_and_remat_keep_parameters():
    model = create_model(**MINI, dtype=jnp.bfloat16, remat=True, activation="raa")
    variables, logits, endpoints = abstract(model, 32)
    plain, *_ = abstract(create_model(**MINI, activation="raa"), 32)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), variables) == jax.tree.map(
        lambda a: (a.shape, a.dtype), plain
    )
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert (logits.dtype, endpoints["block0"].dtype) == (jnp.float32, jnp.bfloat16)


def test_published_names_and_layouts():
    """Weights by the published names land where they belong, shifts included."""
    model = create_model(**MINI, activation="raa")
    variables, *_ = abstract(model, 32)
    rng = np.random.default_rng(0)
    width, hidden = 96, 384
    shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 17, width),
        "patch_embed.proj.weight": (width, 3, 8, 8),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "head.weight": (3, width),
        "head.bias": (3,),
    }
    for i in range(6):
        block = {
            **{f"norm{n}.{leaf}": (width,) for n in (1, 2) for leaf in ("weight", "bias")},
            "attn.qkv.weight": (3 * width, width),
            "attn.qkv.bias": (3 * width,),
            "attn.proj.weight": (width, width),
            "attn.proj.bias": (width,),
            "mlp.fc1.weight": (hidden, width),
            "mlp.fc1.bias": (hidden,),
            "mlp.act.shift_proj_weight": (1, hidden),
            "mlp.act.shift_proj_bias": (1,),
            "mlp.fc2.weight": (width, hidden),
            "mlp.fc2.bias": (width,),
        }
        shapes |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    given = {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}
    ours = from_torch(state_dict=given, activation="raa", **MINI)
    assert jax.tree.map(jnp.shape, ours) == jax.tree.map(lambda leaf: leaf.shape, variables)
    act = ours["params"]["blocks_3"]["mlp"]["act"]
    np.testing.assert_array_equal(
        act["shift_kernel"], given["blocks.3.mlp.act.shift_proj_weight"].T
    )


def test_wrong_sizes_are_one_line(mini):
    model, variables = mini
    with pytest.raises(InputError, match="images of 33x33 pixels do not divide into patches of 8"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 33, 33, 3)))
    with pytest.raises(InputError, match="for 17 tokens, but this image has 26"):
        jax.eval_shape(model.apply, variables, jnp.zeros((1, 40, 40, 3)))
    wrong = create_model(**MINI, drop_path=1.0)
    with pytest.raises(InputError, match=r"drop_path=1\.0"):
        jax.eval_shape(wrong.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    with pytest.raises(InputError, match="unknown option of vit_mini_patch8_32: 'patch'"):
        create_model(**MINI, patch=4)

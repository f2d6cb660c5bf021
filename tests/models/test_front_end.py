"""The front-end modules: initial banks, noise, swapped banks, V2."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models import front_end
from jaxbio.models.front_end import V1, V2, v2_constants
from jaxbio.ops import gabor
from jaxbio.ops.v1 import bank_to_constants, constants_to_bank

SMALL = {"simple_channels": 6, "complex_channels": 8, "out_channels": 5, "image_size": 32}


def small(**options) -> V1:
    return V1(**{**SMALL, **options})


def images(n: int = 2, size: int = 32, seed: int = 0) -> jax.Array:
    return jax.random.uniform(jax.random.key(seed), (n, size, size, 3), minval=-1.0)


def init(model, x):
    return jax.jit(model.init)(jax.random.key(0), x)


@functools.partial(jax.jit, static_argnames=("model", "train"))
def apply(model, variables, x, train=False, rngs=None):
    return model.apply(variables, x, train, rngs=rngs)


@pytest.mark.slow
def test_jitted_init_equals_eager_init() -> None:
    x = images()
    jitted, eager = init(small(), x), small().init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, jitted["constants"], eager["constants"])
    assert jax.tree.structure(jitted) == jax.tree.structure(eager)
    assert jitted["params"]["bottleneck"]["kernel"].shape == (1, 1, 14, 5)
    y, endpoints = apply(small(), jitted, x)
    assert y.shape == (2, 8, 8, 5)
    assert {k: v.shape for k, v in endpoints.items()} == {
        "v1": (2, 8, 8, 14),
        "v1_bottleneck": (2, 8, 8, 5),
    }


def test_initial_bank_is_the_sampled_one() -> None:
    model = V1(**SMALL, seed=4, sf_max=9.0, visual_degrees=2.0, kernel_size=11)
    q0, q1, simple = constants_to_bank(init(model, images())["constants"])
    parameters = gabor.sample_gabor_parameters(14, seed=4, sf_max=9.0)
    e0, e1 = gabor.gabor_bank(
        parameters, gabor.draw_colours(14, seed=4), pixels_per_degree=16.0, kernel_size=11
    )
    assert simple == 6
    np.testing.assert_array_equal(q0, e0)
    np.testing.assert_array_equal(q1[6:], e1[6:])


def test_field_of_view_keeps_pixels_per_degree() -> None:
    default = init(small(image_size=64), images())["constants"]
    explicit = init(small(image_size=64, visual_degrees=64 / 28), images())["constants"]
    jax.tree.map(np.testing.assert_array_equal, default, explicit)
    other = init(small(image_size=32, visual_degrees=8.0), images())["constants"]
    assert np.abs(other["simple_r"] - default["simple_r"]).max() > 1e-3


def test_same_color_pairs_share_their_channel() -> None:
    constants = init(small(same_color=True), images())["constants"]
    assert {k[3:] for k in constants if k.startswith("q")} <= {"rr", "gg", "bb"}


def test_presets_are_fields() -> None:
    fields = {f.name for f in dataclasses.fields(V1)}
    assert fields >= set(front_end.SVP_DEFAULTS) | set(front_end.VONE_DEFAULTS)
    V1(**front_end.SVP_DEFAULTS)
    V1(**front_end.VONE_DEFAULTS)


def test_filters_are_no_literals_of_the_program() -> None:
    model, x = small(), images()
    variables = init(model, x)
    closed = jax.make_jaxpr(model.apply)(variables, x)
    side = SMALL["simple_channels"] + SMALL["complex_channels"]
    assert all(np.size(c) < side * 25 * 25 for c in closed.consts)
    swapped = jax.tree.map(lambda v: 2 * v if v.dtype == jnp.float32 else v, variables["constants"])
    doubled = jax.jit(model.apply)({**variables, "constants": swapped}, x)[0]
    np.testing.assert_allclose(doubled, 2 * apply(model, variables, x)[0], rtol=1e-4, atol=1e-4)


def test_bank_of_another_grouping() -> None:
    """A converted checkpoint's groups have other sizes than the seed's, and other keys."""
    model, x = small(), images()
    variables = init(model, x)
    q0, q1, simple = constants_to_bank(variables["constants"])
    q0, q1 = np.roll(q0, 1, 1), np.roll(q1, 1, 1)
    q0[:simple] = np.sum(q0[:simple], 1, keepdims=True) * np.eye(3, dtype=np.float32)[0].reshape(
        3, 1, 1
    )
    constants = bank_to_constants(q0, q1, simple)
    assert jax.tree.map(jnp.shape, constants) != jax.tree.map(jnp.shape, variables["constants"])
    y, endpoints = jax.jit(model.apply)({**variables, "constants": constants}, x)
    rolled = np.asarray(x)[..., [1, 2, 0]]  # a roll of the filters undoes a roll of the image
    plain = apply(model, variables, jnp.asarray(rolled))[1]["v1"]
    np.testing.assert_allclose(
        endpoints["v1"][..., simple:], plain[..., simple:], rtol=1e-4, atol=1e-4
    )
    assert y.shape == (2, 8, 8, 5)


NOISY = {"noise_mode": "neuronal", "noise_scale": 0.35, "noise_level": 0.07}


def test_noise_only_when_asked() -> None:
    x = images()
    model = small(**NOISY)
    variables = init(model, x)
    quiet = apply(model, variables, x)[0]
    np.testing.assert_array_equal(quiet, apply(small(), variables, x)[0])
    rngs = {"noise": jax.random.key(1)}
    noisy = apply(model, variables, x, True, rngs=rngs)[0]
    assert np.abs(noisy - quiet).max() > 0.1
    np.testing.assert_array_equal(noisy, apply(model, variables, x, True, rngs=rngs)[0])
    other = apply(model, variables, x, True, rngs={"noise": jax.random.key(2)})[0]
    assert np.abs(noisy - other).max() > 0.1
    at_eval = apply(small(**NOISY, noise_at_eval=True), variables, x, rngs=rngs)[0]
    np.testing.assert_array_equal(at_eval, noisy)


@pytest.mark.slow
def test_noise_differs_between_images_and_not_with_the_batch() -> None:
    x = jnp.concatenate([images(1)] * 3)
    model = small(**NOISY)
    variables, rngs = init(model, x), {"noise": jax.random.key(1)}
    v1 = apply(model, variables, x, True, rngs=rngs)[1]["v1"]
    assert np.abs(v1[0] - v1[1]).max() > 0.1
    assert np.abs(v1[1] - v1[2]).max() > 0.1
    fewer = apply(model, variables, x[:2], True, rngs=rngs)[1]["v1"]
    np.testing.assert_allclose(fewer, v1[:2], rtol=1e-5, atol=1e-5)


def test_fixed_noise_is_one_sample() -> None:
    x = images()
    model = small(**NOISY, fixed_noise_seed=3)
    variables = init(model, x)
    first = apply(model, variables, x, True)[0]  # needs no stream
    second = apply(model, variables, x, True, rngs={"noise": jax.random.key(9)})[0]
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_noise_statistics() -> None:
    """Neuronal noise has the variance of its mean; six standard errors."""
    x = jnp.concatenate([images(1)] * 8)
    model = small(**NOISY, k_exc=1e5)
    variables = init(model, x)
    quiet = apply(model, variables, x)[1]["v1"]
    noisy = apply(model, variables, x, True, rngs={"noise": jax.random.key(2)})[1]["v1"]
    z = 0.35 * np.asarray(quiet) + 0.07
    far = z > 64  # where the ReLU never cuts
    added = 0.35 * np.asarray(noisy - quiet)[far] / np.sqrt(z[far] + 1e-4)
    assert added.size > 1000
    assert abs(added.mean()) < 6 / np.sqrt(added.size)
    assert abs(added.var() - 1) < 6 * np.sqrt(2 / added.size)
    assert np.asarray(noisy).min() >= 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visual_degrees": 0.0}, "visual_degrees=0.0, must be above 0"),
        ({"image_size": 0}, "visual_degrees=0.0, must be above 0"),
        ({"sf_min": 7.0}, "no frequency bin between sf_min=7.0 and sf_max=6.0"),
        ({"param_mode": "even"}, "unknown param_mode 'even'"),
        ({"noise_mode": "pink"}, "unknown noise_mode 'pink'"),
        ({**NOISY, "noise_scale": -1.0}, "noise_scale=-1.0"),
        ({"kernel_size": 24}, "kernel_size=24, must be odd"),
        ({"stride": 0}, "stride=0"),
        ({"simple_channels": -1}, "simple_channels=-1"),
        ({"simple_channels": 0, "complex_channels": 0}, "features=0"),
    ],
)
def test_wrong_fields(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options).init(jax.random.key(0), images())


def test_wrong_images() -> None:
    with pytest.raises(ValueError, match=r"V1 needs \[B, H, W, 3\]"):
        small().init(jax.random.key(0), jnp.zeros((2, 32, 32, 1)))


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_v2_shapes(size: int) -> None:
    x = jnp.ones((2, size, size, 64))
    variables = init(V2(7), x)
    side = max(1, (size - 3) // 2 + 1)
    y, endpoints = apply(V2(7), variables, x)
    assert y.shape == (2, side, side, 7)
    assert endpoints["v2_pool"].shape == (2, side, side, 192)
    np.testing.assert_array_equal(endpoints["v2"], y)


def test_v2_stand_in_is_fixed_and_scaled() -> None:
    x = jnp.zeros((1, 5, 5, 64))
    first = V2().init(jax.random.key(0), x)
    second = V2().init(jax.random.key(1), x)
    jax.tree.map(np.testing.assert_array_equal, first["constants"], second["constants"])
    kernel = first["constants"]["kernel"]
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / 1600), rtol=0.01)  # five standard errors
    assert not first["constants"]["bias"].any()


def test_v2_with_given_filters() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((192, 64, 5, 5)), rng.standard_normal(192)
    constants = v2_constants(weight, bias)
    x = jnp.asarray(rng.standard_normal((1, 5, 5, 64)), jnp.float32)
    variables = {**init(V2(4), x), "constants": constants}
    _, endpoints = apply(V2(4), variables, x)
    whole = np.einsum("hwc,ochw->o", np.asarray(x[0]), weight) + bias  # the window at the centre
    assert (np.asarray(endpoints["v2_pool"]).max((0, 1, 2)) >= np.maximum(whole, 0) - 1e-3).all()
    np.testing.assert_array_equal(constants["kernel"][1, 2, 3], weight[:, 3, 1, 2].astype("f"))
    with pytest.raises(ValueError, match="V2's filters read 64 channels, but V1 gives 32"):
        V2(4).apply(variables, x[..., :32])
    with pytest.raises(ValueError, match=r"V2 needs \(192, 64, 5, 5\)"):
        v2_constants(weight[:, :, :3], bias)


def test_bfloat16() -> None:
    x = images()
    variables = init(small(), x)
    y, endpoints = apply(small(dtype=jnp.bfloat16), variables, x)
    assert y.dtype == endpoints["v1"].dtype == jnp.bfloat16
    expected = apply(small(), variables, x)[0]
    assert np.abs(y.astype(jnp.float32) - expected).max() < 0.03 * np.abs(expected).max()
    assert jax.tree.leaves(variables["constants"])[0].dtype in (jnp.float32, jnp.int32)

"""The layers against plain NumPy."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxbio.models import layers
from jaxbio.models.convolution import conv2d

RNG = np.random.default_rng(0)


def array(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("n", "m"), [(27, 7), (13, 7), (13, 6), (6, 7), (3, 7), (1, 7), (7, 7), (4, 1)]
)
def test_adaptive_pool_follows_torch_bins(n, m):
    x = array(2, n, n + 1, 3)
    ours = layers.adaptive_avg_pool(jnp.asarray(x), m)
    for i, j in itertools.product(range(m), range(m)):
        rows = slice(math.floor(i * n / m), math.ceil((i + 1) * n / m))
        columns = slice(math.floor(j * (n + 1) / m), math.ceil((j + 1) * (n + 1) / m))
        expected = x[:, rows, columns].mean((1, 2))
        np.testing.assert_allclose(ours[:, i, j], expected, rtol=1e-5, atol=1e-6)


def reference_max_pool(x, window, stride, padding, ceil_mode):
    n = x.shape[1]
    window = min(window, n + 2 * padding)
    rounding = math.ceil if ceil_mode else math.floor
    outputs = rounding((n + 2 * padding - window) / stride) + 1
    if ceil_mode and (outputs - 1) * stride >= n + padding:
        outputs -= 1
    spans = [
        slice(max(i * stride - padding, 0), i * stride - padding + window) for i in range(outputs)
    ]
    return np.stack(
        [np.stack([x[:, a, b].max((1, 2)) for b in spans], axis=1) for a in spans], axis=1
    )


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 6, 7, 12, 13])
@pytest.mark.parametrize(
    ("window", "stride", "padding", "ceil_mode"),
    [(3, 2, 1, False), (3, 2, 0, False), (3, 2, 0, True), (2, 2, 0, False), (3, 3, 0, False)],
)
def test_max_pool(n, window, stride, padding, ceil_mode):
    x = array(2, n, n, 3)
    ours = layers.max_pool(jnp.asarray(x), window, stride, padding, ceil_mode)
    np.testing.assert_array_equal(ours, reference_max_pool(x, window, stride, padding, ceil_mode))


def test_max_pool_gradient_is_that_of_a_window_reduction():
    x, g = jnp.asarray(array(2, 13, 14, 3)), jnp.asarray(array(2, 7, 7, 3))

    def plain(x):
        pads = ((0, 0), (1, 1), (1, 1), (0, 0))
        return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), pads)

    ours = jax.vjp(lambda x: layers.max_pool(x, 3, 2, 1), x)[1](g)[0]
    np.testing.assert_allclose(ours, jax.vjp(plain, x)[1](g)[0], rtol=1e-6, atol=1e-6)


def test_pools_keep_nan():
    x = jnp.ones((1, 4, 4, 1)).at[0, 1, 2, 0].set(jnp.nan)
    assert np.isnan(layers.max_pool(x, 3, 2, 1)).any()
    assert np.isnan(layers.avg_pool(x, 2)).any()


@pytest.mark.parametrize(("n", "outputs"), [(1, 1), (5, 2), (6, 3)])
def test_avg_pool_clips_and_drops_the_rest(n, outputs):
    x = array(2, n, n, 3)
    ours = layers.avg_pool(jnp.asarray(x), 2)
    assert ours.shape == (2, outputs, outputs, 3)
    np.testing.assert_allclose(ours[:, 0, 0], x[:, :2, :2].mean((1, 2)), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "features"),
    [
        ((13, 15), 1, 1, 0, 8),
        ((13, 15), 1, 2, 0, 8),
        ((13, 15), 1, 1, 0, 2),
        ((13, 15), 3, 2, 1, 4),
        ((13, 15), 5, 1, 2, 4),
        ((13, 15), 7, 2, 3, 4),
        ((13, 15), 11, 4, 2, 4),
        ((1, 1), 3, 1, 1, 4),
        ((2, 2), 3, 2, 1, 4),
        ((2, 9), 3, 2, 1, 4),
        ((3, 4), 5, 1, 2, 6),
        ((13, 15), 3, 1, 1, 258),  # wide: Winograd
        ((8, 6), 3, 1, 1, 256),  # wide, few pixels: patches
        ((13, 15), 3, 2, 1, 256),
        ((1, 1), 3, 1, 1, 256),
    ],
)
def test_conv2d_and_its_gradients(size, kernel, stride, padding, features):
    channels = 4 if features < 256 else 256
    x = jnp.asarray(array(2, *size, channels))
    w = jnp.asarray(array(kernel, kernel, channels, features))
    w = w / math.sqrt(channels / 4)

    def plain(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(padding, padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    expected, expected_vjp = jax.vjp(plain, x, w)
    ours, our_vjp = jax.vjp(lambda x, w: conv2d(x, w, stride, padding), x, w)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-4)
    g = jnp.asarray(array(*expected.shape))
    for a, b in zip(our_vjp(g), expected_vjp(g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-3)


def test_batch_norm_in_training_and_evaluation():
    x = 3 * array(2, 3, 4, 5) + 2
    norm = layers.BatchNorm()
    variables = {
        "params": {"scale": array(5), "bias": array(5)},
        "batch_stats": {"mean": array(5), "var": np.abs(array(5)) + 0.5},
    }
    params, stats = variables["params"], variables["batch_stats"]
    y, updated = norm.apply(variables, x, True, mutable=["batch_stats"])
    mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
    expected = (x - mean) / np.sqrt(var + 1e-5) * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)
    new = updated["batch_stats"]
    np.testing.assert_allclose(new["mean"], 0.9 * stats["mean"] + 0.1 * mean, rtol=1e-5, atol=1e-6)
    unbiased = x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(new["var"], 0.9 * stats["var"] + 0.1 * unbiased, rtol=1e-5)
    y = norm.apply(variables, x, False)
    expected = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5) * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_statistics_are_float32_in_bfloat16():
    x = jnp.asarray(array(8, 16, 16, 4) + 100, jnp.bfloat16)
    norm = layers.BatchNorm(dtype=jnp.bfloat16)
    variables = norm.init(jax.random.key(0), x, False)
    y, updated = norm.apply(variables, x, True, mutable=["batch_stats"])
    assert y.dtype == jnp.bfloat16
    expected = 0.1 * np.asarray(x, np.float32).mean((0, 1, 2))
    np.testing.assert_allclose(updated["batch_stats"]["mean"], expected, rtol=1e-5)


def test_batch_norm_of_a_single_value_stays_finite():
    x = jnp.ones((1, 1, 1, 2))
    norm = layers.BatchNorm()
    variables = norm.init(jax.random.key(0), x, False)
    y, updated = norm.apply(variables, x, True, mutable=["batch_stats"])
    assert np.isfinite(y).all()
    assert np.isfinite(updated["batch_stats"]["var"]).all()


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (layers.kaiming_fan_out, math.sqrt(2 / (9 * 128))),
        (layers.kaiming_fan_in, math.sqrt(2 / (9 * 64))),
        (layers.kaiming_uniform_fan_in, math.sqrt(2 / (9 * 64))),
        (layers.torch_default, math.sqrt(1 / (3 * 9 * 64))),
        (layers.NormalLinear.keywords["kernel_init"], 0.01),
        (layers.uniform_within(0.3), 0.3 / math.sqrt(3)),
    ],
)
def test_initialisers(init, std):
    w = init(jax.random.key(0), (3, 3, 64, 128), jnp.float32)
    np.testing.assert_allclose(w.std(), std, rtol=0.02)
    np.testing.assert_allclose(w.mean(), 0, atol=0.02 * std)

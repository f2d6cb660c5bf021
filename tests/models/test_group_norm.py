"""GroupNorm against its definition in NumPy."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models.group_norm import GroupNorm


@pytest.mark.parametrize(("shape", "groups"), [((2, 3, 4, 6), 3), ((2, 1, 1, 4), 4)])
def test_group_norm(shape, groups):
    rng = np.random.default_rng(0)
    x = (3 * rng.standard_normal(shape) + 5).astype(np.float32)
    scale, bias = rng.standard_normal((2, shape[-1])).astype(np.float32)
    y = GroupNorm(groups).apply({"params": {"scale": scale, "bias": bias}}, jnp.asarray(x))
    grouped = x.astype(np.float64).reshape(*shape[:3], groups, -1)
    mean = grouped.mean((1, 2, 4), keepdims=True)
    var = grouped.var((1, 2, 4), keepdims=True)
    expected = ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(shape) * scale + bias
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


def test_statistics_are_float32_in_bfloat16():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((1, 8, 8, 4)) + 100, jnp.bfloat16)
    norm = GroupNorm(2, dtype=jnp.bfloat16)
    params = {"scale": jnp.ones(4), "bias": jnp.zeros(4)}
    y = norm.apply({"params": params}, x)
    assert y.dtype == jnp.bfloat16
    exact = GroupNorm(2).apply({"params": params}, x.astype(jnp.float32))
    np.testing.assert_allclose(y.astype(jnp.float32), exact, rtol=1e-2, atol=1e-2)

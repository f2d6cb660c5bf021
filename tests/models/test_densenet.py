"""Dense blocks take each channel's moments once; normalising the whole input anew is the oracle."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.models import activations
from jaxbio.models.densenet import DenseBlock, DenseLayer

RELU = activations.make("relu")


@pytest.mark.slow
def test_dense_block_normalises_as_if_every_layer_took_its_own_moments():
    layers, growth = 3, 4
    x = jax.random.normal(jax.random.key(0), (2, 6, 6, 5)) + 1
    block = DenseBlock(layers, growth, RELU)
    variables = block.init(jax.random.key(1), x, True)

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def ours(params, x):
        y, updated = block.apply({**variables, "params": params}, x, True, mutable=["batch_stats"])
        return (y**2).sum(), (y, updated["batch_stats"])

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def oracle(params, x):
        stats = {}
        for i in range(1, layers + 1):
            name = f"denselayer{i}"
            old = {"params": params[name], "batch_stats": variables["batch_stats"][name]}
            layer = DenseLayer(growth, RELU)
            new, updated = layer.apply(old, x, True, mutable=["batch_stats"])
            stats[name] = updated["batch_stats"]
            x = jnp.concatenate([x, new], axis=-1)
        return (x**2).sum(), (x, stats)

    for a, b in zip(
        jax.tree.leaves(ours(variables["params"], x)),
        jax.tree.leaves(oracle(variables["params"], x)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)

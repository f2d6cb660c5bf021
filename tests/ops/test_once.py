"""Programs that run once."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbio
from jaxbio.ops.once import jit_once


def test_a_network_is_created_with_the_same_bits():
    network = jaxbio.create_model("cornet_z", num_classes=3)

    def create(key):
        return network.init(key, jnp.zeros((1, 32, 32, 3)), train=False)

    key = jax.random.key(3)
    jax.tree.map(np.testing.assert_array_equal, jit_once(create)(key), jax.jit(create)(key))

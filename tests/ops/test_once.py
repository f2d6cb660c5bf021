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


def test_it_is_part_of_another_program():
    once = jit_once(lambda x: 2 * x)
    assert jax.jit(once)(jnp.asarray(3)) == 6
    assert jax.eval_shape(once, jnp.zeros((2, 3))).shape == (2, 3)

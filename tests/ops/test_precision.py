"""Measurements multiply in full precision also where a device rounds by default (TF32, bfloat16).

Networks do not: their layers follow JAX's default, as everyone's do.
"""

import jax
import jax.numpy as jnp
import pytest

from jaxbio.corruptions import corrupt, corruption_names
from jaxbio.ops.rand_augment import rand_augment
from jaxbio.spiking.inference import respond
from jaxbio.spiking.learning import dense_program, sparse_program, stack
from jaxbio.spiking.network import Network, Parameters, initial_weights
from jaxbio.spiking.presentation import EVERYTHING, present

KEY = jax.random.key(0)
NETWORKS = {
    "lc": Network(filters=4, kernel=8, stride=4, crop=12, steps=20),
    "trained": Network(filters=4, kernel=8, stride=4, crop=12, steps=20, trained_competition=True),
    "c": Network(kind="c", filters=4, kernel=8, stride=4, crop=12, steps=20),
    "fc": Network(kind="fc", filters=4, kernel=12, crop=12, steps=20),
}


def products(function, *args) -> list:
    """The products of floats in a function's program, and in the programs inside it."""

    def inside(jaxpr):
        for equation in jaxpr.eqns:
            if equation.primitive.name in ("dot_general", "conv_general_dilated"):
                yield equation
            for leaf in jax.tree.leaves(list(equation.params.values()), is_leaf=is_program):
                if is_program(leaf):
                    yield from inside(leaf)

    def is_program(x):
        return hasattr(x, "eqns")

    found = inside(jax.make_jaxpr(function)(*args))
    return [e for e in found if jnp.issubdtype(e.invars[0].aval.dtype, jnp.floating)]


def assert_full_precision(found) -> None:
    for equation in found:
        precision = equation.params["precision"]
        assert precision is not None, equation
        assert {*precision} == {jax.lax.Precision.HIGHEST}, equation


def test_it_would_find_rounded_products():
    def layers(x):
        return jax.lax.scan(lambda x, _: (jnp.sin(x @ x), None), x, length=3)[0]

    found = products(jax.jit(jax.grad(lambda x: layers(x).sum())), jnp.ones((2, 2)))
    assert len(found) == 3
    with pytest.raises(AssertionError):
        assert_full_precision(found)


@pytest.mark.parametrize("name", corruption_names("all"))
def test_corruptions(name):
    images = jnp.zeros((2, 48, 48, 3), jnp.uint8)
    assert_full_precision(products(lambda x, key: corrupt(x, name, 3, key), images, KEY))


def test_augmentation():
    images = jnp.zeros((2, 32, 32, 3), jnp.uint8)
    found = products(rand_augment, images, jax.random.split(KEY))
    assert found
    assert_full_precision(found)


@pytest.mark.parametrize("kind", NETWORKS)
def test_spiking(kind):
    network, parameters = NETWORKS[kind], Parameters()
    weights = initial_weights(network, parameters, KEY)
    x = jnp.zeros((network.steps, network.pixels), bool)
    packed = jnp.zeros((1, 1, network.pixels), jnp.uint32)
    found = products(lambda w: present(network, parameters, w, x, EVERYTHING), weights)
    found += products(lambda w: respond(network, parameters, w, packed), weights)
    programs = [dense_program(network, parameters)]
    if not (network.trained_competition or network.shared):
        programs.append(sparse_program(network, parameters))
    for program in programs:
        start = program.enter(stack([weights]))
        found += products(program.show, start, packed)
    assert found
    assert_full_precision(found)

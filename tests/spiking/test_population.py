"""Populations: who is in them, and that each member learns as if it were alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.errors import InputError
from jaxbio.ops.encoding import make_encoder
from jaxbio.spiking.learning import learn, unstack
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.population import initial_members, member_parameters, read_members

NETWORK = Network(filters=6, kernel=8, stride=4, crop=12, steps=60)


def test_members_of_a_grid():
    members = read_members(3, 2, "mean_weight=0.4,0.46; c_w=-80")
    assert [(m.seed, m.changes["mean_weight"], m.changes["c_w"]) for m in members] == [
        (3, 0.4, -80.0),
        (4, 0.4, -80.0),
        (3, 0.46, -80.0),
        (4, 0.46, -80.0),
    ]


@pytest.mark.parametrize(
    ("seeds", "grid", "words"),
    [
        (0, "", "population.seeds=0"),
        (1, "mean=1", "unknown 'mean'"),
        (1, "filters=100", "unknown 'filters'"),
        (1, "c_w=a", "c_w=number"),
        (1, "c_w=-1;c_w=-2", "twice"),
    ],
)
def test_wrong_populations_are_named(seeds, grid, words):
    with pytest.raises(InputError, match=words):
        read_members(0, seeds, grid)


def _learn(members, levels):
    parameters = member_parameters(Parameters(mean_weight=0.6), members)
    keys = jnp.stack([jax.random.key(member.seed) for member in members])
    weights = initial_members(NETWORK, parameters, keys)
    encoder = make_encoder("renewal", np.arange(256) * 1.0, NETWORK.steps)
    return learn(NETWORK, parameters, weights, encoder, keys, jnp.asarray(levels), 0)


@pytest.mark.slow
def test_a_member_learns_as_if_alone():
    members = read_members(0, 2, "c_w=-20,-100;tau_neg=10,20")
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (3, len(members), NETWORK.pixels), np.uint8)
    together, counts = _learn(members, levels)
    for number in (0, 5):
        alone, own = _learn(members[number : number + 1], levels[:, number : number + 1])
        assert own.sum() > 10
        np.testing.assert_array_equal(counts[:, number], own[:, 0])
        np.testing.assert_allclose(unstack(together, number).xy, unstack(alone).xy, atol=1e-6)
    assert not np.array_equal(counts[:, 0], counts[:, 4])

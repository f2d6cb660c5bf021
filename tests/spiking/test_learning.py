"""Fast programs against the plain one, and what learning must leave as it is."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.ops.encoding import make_encoder, pack
from jaxbio.spiking import competition
from jaxbio.spiking.inference import respond, respond_encoded
from jaxbio.spiking.learning import dense_program, learn, sparse_program, stack, unstack
from jaxbio.spiking.network import Network, Parameters, initial_weights
from jaxbio.spiking.presentation import EVERYTHING, FROZEN, Learning, present

STEPS = 60
LC = Network(filters=5, kernel=8, stride=4, crop=12, steps=STEPS)
KINDS = {
    "lc": (LC, Parameters(mean_weight=0.6)),
    "fc": (
        Network(kind="fc", filters=20, kernel=12, crop=12, steps=STEPS, refractory=5),
        Parameters(mean_weight=0.4),
    ),
    "c": (
        Network(kind="c", filters=5, kernel=8, stride=4, crop=12, steps=STEPS, refractory=5),
        Parameters(mean_weight=0.6),
    ),
    "trained": (
        Network(filters=4, kernel=8, stride=4, crop=12, steps=STEPS, trained_competition=True),
        Parameters(mean_weight=0.6),
    ),
}


def _weights(network, parameters, seed=0):
    return initial_weights(network, parameters, jax.random.key(seed))


def _spikes(network, images=1, seed=0):
    """Some pixels dark, the others regular and of different rates."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.05, 0.3, (images, 1, network.pixels)) * rng.integers(
        0, 2, (images, 1, network.pixels)
    )
    return rng.random((images, network.steps, network.pixels)) < rate


def _assert_same_learning(network, parameters, program, learning=EVERYTHING):
    """Three images by a fast program and by the plain one."""
    plain, show = jax.jit(present, static_argnums=(0, 4)), jax.jit(program.show)
    slow = _weights(network, parameters)
    fast = program.enter(stack([slow]))
    for i in range(3):
        x = _spikes(network, seed=i)
        slow, recording, _ = plain(network, parameters, slow, x[0], learning)
        if learning.yy:
            slow = competition.mask(slow, competition.allowed_pairs(network))
        fast, counts = show(fast, jax.vmap(pack)(x))
        assert recording.counts.sum() > 10
        np.testing.assert_array_equal(counts[0], recording.counts)
    result = unstack(program.leave(fast))
    np.testing.assert_allclose(result.xy, slow.xy, atol=1e-6)
    np.testing.assert_allclose(result.theta, slow.theta, atol=1e-5)
    if slow.yy is not None:
        np.testing.assert_allclose(result.yy, slow.yy, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    "kind", ["lc", "c", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("fc", "trained"))]
)
def test_dense_learning_gives_the_same_spikes_and_weights(kind):
    network, parameters = KINDS[kind]
    _assert_same_learning(network, parameters, dense_program(network, parameters))


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["theta", "xy", "yy"])
@pytest.mark.parametrize("kind", ["c", "trained"])
def test_dense_learning_of_parts(kind, frozen):
    network, parameters = KINDS[kind]
    learning = EVERYTHING._replace(**{frozen: False})
    program = dense_program(network, parameters, learning)
    _assert_same_learning(network, parameters, program, learning)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lc", "fc"])
def test_sparse_learning_gives_the_same_spikes_and_weights(kind):
    network, parameters = KINDS[kind]
    _assert_same_learning(network, parameters, sparse_program(network, parameters))


@pytest.mark.parametrize(
    ("kind", "sparse"),
    [
        pytest.param("lc", False, marks=pytest.mark.slow),
        pytest.param("lc", True, marks=pytest.mark.slow),
        pytest.param("fc", True, marks=pytest.mark.slow),
        pytest.param("c", False, marks=pytest.mark.slow),
        pytest.param("trained", False, marks=pytest.mark.slow),
    ],
)
def test_networks_side_by_side_learn_as_they_would_alone(kind, sparse, monkeypatch):
    """Three networks in shares of two."""
    network, parameters = KINDS[kind]
    monkeypatch.setattr("jaxbio.spiking.learning._networks_together", lambda *_: 2)
    monkeypatch.setattr("jaxbio.spiking.learning._sparse_pays", lambda *_: sparse)
    seeds, c_w = (0, 1, 2), jnp.array([-100.0, -80.0, -60.0])
    weights = [_weights(network, parameters, seed) for seed in seeds]
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, network.pixels), np.uint8)
    each = dataclasses.replace(parameters, c_w=c_w)
    together, counts = _learn(network, each, stack(weights), levels)
    monkeypatch.undo()
    assert counts.sum() > 0
    for i in (0, 2):
        alone, spikes = _learn(
            network,
            dataclasses.replace(parameters, c_w=c_w[i : i + 1]),
            stack([weights[i]]),
            levels[:, i : i + 1],
            seeds=[i],
        )
        np.testing.assert_array_equal(counts[:, i], spikes[:, 0])
        np.testing.assert_allclose(together.xy[i], alone.xy[0], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_inference_gives_the_same_spikes(kind):
    network, parameters = KINDS[kind]
    weights = _weights(network, parameters)
    x = _spikes(network, images=3)
    answer = jax.jit(respond, static_argnums=0)
    counts = answer(network, parameters, weights, jax.vmap(pack)(x))
    plain = jax.jit(present, static_argnums=(0, 4))
    expected = [plain(network, parameters, weights, one, FROZEN)[1].counts for one in x]
    assert np.sum(expected) > 10
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.slow
def test_inference_does_not_depend_on_the_batch():
    network, parameters = KINDS["lc"]
    weights = _weights(network, parameters)
    encoder = make_encoder("renewal", np.arange(256) * 1.0, STEPS)
    levels = np.random.default_rng(0).integers(0, 256, (19, network.pixels), np.uint8)
    numbers = np.arange(19)

    def run(chosen):
        return respond_encoded(
            network,
            parameters,
            weights,
            encoder,
            jax.random.key(1),
            jnp.asarray(levels[chosen]),
            jnp.asarray(numbers[chosen]),
        )

    whole = run(slice(None))
    assert whole.sum() > 0
    np.testing.assert_array_equal(whole[17:], run(slice(17, None)))


@pytest.mark.parametrize("frozen", ["theta", "xy", "yy"])
def test_frozen_parts_stay(frozen):
    network, parameters = KINDS["trained"]
    before = _weights(network, parameters)
    learning = EVERYTHING._replace(**{frozen: False})
    after, recording, _ = present(network, parameters, before, _spikes(network)[0], learning)
    assert recording.counts.sum() > 0
    for name in ("theta", "xy", "yy"):
        same = np.allclose(getattr(after, name), getattr(before, name), atol=1e-6)
        assert same == (name == frozen), name


def _learn(network, parameters, weights, levels, first=0, seeds=None, **options):
    encoder = make_encoder("renewal", np.arange(256) * 1.0, network.steps)
    seeds = range(levels.shape[1]) if seeds is None else seeds
    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    return learn(network, parameters, weights, encoder, keys, jnp.asarray(levels), first, **options)


@pytest.mark.slow
def test_chunks_do_not_matter():
    network, parameters = KINDS["lc"]
    weights = stack([_weights(network, parameters)])
    levels = np.random.default_rng(0).integers(0, 256, (6, 1, network.pixels), np.uint8)
    whole, counts = _learn(network, parameters, weights, levels)
    half, _ = _learn(network, parameters, weights, levels[:3])
    half, _ = _learn(network, parameters, half, levels[3:], first=3)
    assert counts.sum() > 0
    np.testing.assert_allclose(half.xy, whole.xy, atol=1e-6)


@pytest.mark.slow
def test_several_images_per_update_is_near_and_normalised():
    network, parameters = KINDS["lc"]
    weights = stack([_weights(network, parameters)])
    levels = np.random.default_rng(0).integers(0, 256, (4, 1, network.pixels), np.uint8)
    online, _ = _learn(network, parameters, weights, levels)
    summed, counts = _learn(network, parameters, weights, levels, images_per_update=4)
    assert counts.shape == (4, 1, network.neurons)
    np.testing.assert_allclose(summed.xy.sum(2), 0.6 * network.window, rtol=1e-4)
    change = np.asarray(online.xy - weights.xy).ravel()
    assert np.corrcoef(change, np.asarray(summed.xy - weights.xy).ravel())[0, 1] > 0.7


def test_trained_competition_is_masked_between_images():
    network, parameters = KINDS["trained"]
    weights = stack([_weights(network, parameters)])
    levels = np.random.default_rng(0).integers(0, 256, (2, 1, network.pixels), np.uint8)
    masked, _ = _learn(network, parameters, weights, levels)
    free, _ = _learn(network, parameters, weights, levels, masked=False)
    outside = ~network.same_position()
    assert (np.asarray(masked.yy)[0][outside] == 0).all()
    assert (np.asarray(free.yy)[0][outside] != 0).any()


def test_learning_nothing_changes_nothing():
    network, parameters = KINDS["lc"]
    weights = stack([_weights(network, parameters)])
    levels = np.random.default_rng(0).integers(0, 256, (2, 1, network.pixels), np.uint8)
    after, counts = _learn(network, parameters, weights, levels, learning=FROZEN)
    assert counts.sum() > 0
    np.testing.assert_allclose(after.xy, weights.xy, atol=1e-6)
    assert isinstance(FROZEN, Learning)

"""Spike encoders: laws, levels, silence, keys and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbio.errors import InputError
from jaxbio.ops import encoding

KEY = jax.random.key(4)


def trains(name: str, rate: float, steps: int, trials: int, dt: float = 1.0) -> np.ndarray:
    encoder = encoding.make_encoder(name, np.array([rate]), steps, dt)
    return np.asarray(jax.jit(encoder)(KEY, jnp.zeros(trials, jnp.uint8)))


@pytest.mark.slow
@pytest.mark.parametrize("name", encoding.list_encoders())
def test_shape_silence_and_key(name):
    rates = np.array([0.0, 200.0])
    levels = np.random.default_rng(0).integers(0, 2, (3, 5))
    encoder = jax.jit(encoding.make_encoder(name, rates, 60))
    spikes = encoder(KEY, levels)
    assert spikes.shape == (60, 3, 5)
    assert spikes.dtype == bool
    np.testing.assert_array_equal(spikes.any(0), levels == 1)
    np.testing.assert_array_equal(spikes, encoder(KEY, levels))
    if name != "latency":
        assert (spikes != encoder(jax.random.key(5), levels)).any()
    by_rate = encoding.encode(name, KEY, rates[levels], 60)
    assert by_rate.shape == spikes.shape
    np.testing.assert_array_equal(by_rate.any(0), levels == 1)


@pytest.mark.parametrize(
    ("rate", "steps", "dt"), [(127.5, 250, 1.0), (900.0, 70, 1.0), (50, 40, 5)]
)
def test_renewal_intervals_follow_their_law(rate, steps, dt):
    """First intervals against max(Poisson, 1); chi-squared, p > 1e-4."""
    spikes = trains("renewal", rate, steps, 20000, dt)
    first = np.where(spikes.any(0), spikes.argmax(0) + 1, steps + 1)
    law = stats.poisson(1000.0 / (rate * dt))
    expected = law.pmf(np.arange(steps + 1)) * spikes.shape[1]
    expected[1] += expected[0]
    expected = np.append(expected[1:], law.sf(steps) * spikes.shape[1])
    observed = np.bincount(first, minlength=steps + 2)[1:]
    rare = expected < 5
    merged = [np.append(h[~rare], h[rare].sum()) for h in (observed, expected)]
    statistic = ((merged[0] - merged[1]) ** 2 / np.maximum(merged[1], 1e-9)).sum()
    assert stats.chi2(len(merged[0]) - 1).sf(statistic) > 1e-4


def test_renewal_trains_are_complete():
    """Enough intervals are drawn: the last steps have as many spikes as the middle ones."""
    spikes = trains("renewal", 500.0, 300, 4000)
    rate = spikes[100:].mean(1)
    assert rate[-20:].mean() == pytest.approx(rate[:100].mean(), rel=0.03)


@pytest.mark.slow
def test_rates_without_a_chance_are_silent_and_finite():
    spikes = encoding.renewal(KEY, jnp.array([1e-30, 1e-5, 1000.0]), 30)
    assert not spikes[:, :2].any()
    assert spikes[:, 2].any()


@pytest.mark.parametrize(
    ("name", "probability"), [("bernoulli", 0.2), ("poisson", 1 - np.exp(-0.2))]
)
def test_independent_steps(name, probability):
    spikes = trains(name, 100.0, 100, 2000, dt=2.0)
    for table in (spikes, spikes[1:] & spikes[:-1]):
        p = probability if table is spikes else probability**2
        assert table.mean() == pytest.approx(p, abs=5 * np.sqrt(p / table.size))


def test_bernoulli_is_certain_above_one_spike_per_step():
    assert trains("bernoulli", 1500.0, 20, 50).all()


def test_latency_is_the_period():
    rates = jnp.array([1000.0, 1000.0 / 3, 100.0, 30.0, 1000.0 / 47, 1.0, 0.0])
    spikes = np.asarray(encoding.latency(None, rates, 50))
    np.testing.assert_array_equal(spikes.sum(0), [1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(spikes.argmax(0)[:5] + 1, [1, 3, 10, 34, 47])


def test_pictures_with_keys_of_their_own():
    encoder = jax.jit(encoding.make_encoder("renewal", np.arange(256) * 0.5, 250))
    pictures = np.random.default_rng(1).integers(0, 256, (3, 4, 4), np.uint8)
    keys = jax.random.split(KEY, 3)
    together = jax.vmap(encoder)(keys, pictures)
    for number in range(3):
        np.testing.assert_array_equal(together[number], encoder(keys[number], pictures[number]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("renewal", [-1.0], 10), "must be 0 or more"),
        (("renewal", [np.nan], 10), "must be 0 or more"),
        (("renewal", [[1.0]], 10), r"\[L\]"),
        (("renewal", [1.0], 0), "steps=0"),
        (("renewal", [1.0], 10, 0.0), "dt=0.0"),
        (("rank", [1.0], 10), "unknown encoder 'rank': use renewal"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(InputError, match=message):
        encoding.make_encoder(*arguments)


@pytest.mark.parametrize("name", encoding.list_encoders())
def test_negative_intensities(name):
    with pytest.raises(InputError, match=r"intensity has -0\.5"):
        encoding.encode(name, KEY, np.array([3.0, -0.5]), 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", encoding.list_encoders())
def test_a_level_encoder_refuses_what_is_no_level(name):
    """A picture in [0, 1] was read as dark, levels above the last as the last."""
    encoder = encoding.make_encoder(name, np.arange(256) * 0.5, steps=20)
    key = jax.random.key(0)
    for picture in (np.ones((4, 4), np.float32), np.full((4, 4), 256), np.full((4, 4), -1)):
        with pytest.raises(InputError, match="0 to 255"):
            encoder(key, picture)
    with pytest.raises(InputError, match="0 to 255"):
        jax.jit(encoder)(key, np.ones((4, 4), np.float32))
    assert encoder(key, np.full((4, 4), 255)).shape == (20, 4, 4)

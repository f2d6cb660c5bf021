"""Voting, ranks and linear readout against recorded activity; the encoder against histograms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxbio.ops.encoding import make_encoder, renewal
from jaxbio.spiking.accuracy import measure_accuracy
from jaxbio.spiking.readouts import (
    VOTING,
    fit_linear,
    predicted_labels,
    ranked_labels,
    votes_from_counts,
    voting_scores,
)
from tests.golden import vectors

pytestmark = pytest.mark.golden

VOTES = vectors.dynamics_cases("voting")
ENCODER = {"poisson_encoder": vectors.dynamics_cases("poisson_encoder")}
LEVELS = ENCODER["poisson_encoder"].get("per_intensity", {})
SIGNIFICANCE = 1e-4  # of every comparison of two histograms


@functools.cache
def load(case: str) -> dict[str, np.ndarray]:
    return vectors.dynamics_arrays(VOTES if case in VOTES else ENCODER, case)


def methods() -> list:
    pairs = [(case, method) for case in VOTES for method in VOTING]
    return [(c, m) for c, m in pairs if f"pred_{m}" in load(c)]


@pytest.mark.parametrize("case", VOTES)
def test_votes_are_the_mean_counts(case):
    arrays = load(case)
    votes = votes_from_counts(arrays["calib_counts"], arrays["calib_labels"], len(arrays["votes"]))
    np.testing.assert_allclose(votes, arrays["votes"], rtol=1e-6)


@pytest.mark.parametrize(("case", "method"), methods())
def test_voting(case, method):
    arrays = load(case)
    counts = arrays["test_counts"]
    with_silence = np.concatenate([counts, np.zeros_like(counts[:1])])
    scores = voting_scores(with_silence, arrays["votes"], method)
    gold = arrays[f"score_{method}"]
    tie = 1e-6 * gold.max()
    np.testing.assert_allclose(scores, gold, rtol=1e-5, atol=tie)

    def same_order(ours: np.ndarray, published: np.ndarray) -> None:
        """Equal labels, or labels whose scores tie."""
        np.testing.assert_array_equal(ours[-1], published[-1])  # silence
        at = [np.take_along_axis(gold[:-1], labels[:-1], 1) for labels in (ours, published)]
        np.testing.assert_allclose(*at, rtol=0, atol=2 * tie)

    predicted, ranked = predicted_labels(scores), ranked_labels(scores)
    same_order(predicted[:, None], arrays[f"pred_{method}"][:, None])
    same_order(ranked, arrays[f"rank_{method}"])
    np.testing.assert_array_equal(np.sort(ranked), np.sort(arrays[f"rank_{method}"]))

    published = VOTES[case]["results"][method]
    ours = measure_accuracy(predicted[:-1], arrays["test_labels"])
    swapped = np.mean(predicted != arrays[f"pred_{method}"])
    assert ours.accuracy == pytest.approx(published["accuracy"], abs=swapped + 1e-12)
    assert ours.error == pytest.approx(published["error"], abs=swapped + 1e-12)


@pytest.mark.parametrize("case", VOTES)
def test_linear_readout_is_as_good(case):
    """Unseeded in the published program: means over seeds differ by chance alone."""
    arrays = load(case)
    gold = arrays["lc_accuracy_20_seeds"]
    calibration = arrays["calib_counts"], arrays["calib_labels"]
    ours = [
        measure_accuracy(
            fit_linear(*calibration, seed=seed).predict(arrays["test_counts"]),
            arrays["test_labels"],
        ).accuracy
        for seed in range(3)
    ]
    error = gold.std(ddof=1) * np.sqrt(1 / len(gold) + 1 / len(ours))
    bound = stats.t.isf(SIGNIFICANCE / len(VOTES) / 2, len(gold) + len(ours) - 2)
    assert abs(np.mean(ours) - gold.mean()) < bound * error


def same_distribution(ours: np.ndarray, gold: np.ndarray) -> float:
    """p-value of a chi-squared test of two histograms; bins expected below 5 are merged."""
    rare = (ours + gold) * min(ours.sum(), gold.sum()) < 5 * (ours.sum() + gold.sum())
    table = np.array([np.append(h[~rare], h[rare].sum()) for h in (ours, gold)])
    table = table[:, table.sum(0) > 0]
    return stats.chi2_contingency(table).pvalue if table.shape[1] > 1 else 1.0


def histograms(trains: np.ndarray) -> dict[str, np.ndarray]:
    """The stored statistics of trains ``[trials, steps]``."""
    steps = trains.shape[1]
    trial, time = np.nonzero(trains)
    intervals = np.diff(time)[np.diff(trial) == 0]
    first = np.where(trains.any(1), trains.argmax(1), steps)
    return {
        "counts_hist": np.bincount(trains.sum(1), minlength=100),
        "isi_hist": np.bincount(intervals, minlength=steps + 1),
        "first_step_hist": np.bincount(first, minlength=steps + 1),
    }


def check_histograms(trains: np.ndarray, gold: dict[str, np.ndarray], name: str) -> None:
    for kind, ours in histograms(trains).items():
        p = same_distribution(ours, gold[f"{kind}_{name}"])
        assert p > SIGNIFICANCE, (kind, p)
    # Steps of one train depend on each other: the chi-squared test does not apply to their sum, but
    # a step's count is binomial.
    steps_gold = gold[f"spikes_per_step_{name}"]
    trials_gold = gold[f"counts_hist_{name}"].sum()
    ours = trains.sum(0)
    pooled = (ours + steps_gold) / (len(trains) + trials_gold)
    spread = np.sqrt(pooled * (1 - pooled) * (1 / len(trains) + 1 / trials_gold))
    z = np.abs(ours / len(trains) - steps_gold / trials_gold) / np.maximum(spread, 1e-9)
    assert z.max() < stats.norm.isf(SIGNIFICANCE / 2 / len(z))


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.slow
def test_renewal_encoder_of_levels(name):
    case = LEVELS[name]
    encoder = make_encoder("renewal", np.array([0.0, case["intensity"]]), case["steps"])
    levels = jnp.ones(case["trials"], jnp.uint8)
    trains = np.asarray(jax.jit(encoder)(jax.random.key(11), levels))
    check_histograms(trains.T, load("poisson_encoder"), name)


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.slow
def test_renewal_encoder_of_rates(name):
    case = LEVELS[name]
    rates = jnp.full(2000, case["intensity"])
    trains = jax.jit(renewal, static_argnums=2)(jax.random.key(12), rates, case["steps"])
    check_histograms(np.asarray(trains).T, load("poisson_encoder"), name)

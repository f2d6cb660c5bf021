"""Object RDMs, their loss, SIT and SVM against neural-finetuning, in float64."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import similarity as sim
from tests.golden import vectors
from tests.golden.vectors import close, needs

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("float64")]

CASES = vectors.dynamics_cases("neural_finetuning")
FEATURES, SCORES = (
    vectors.dynamics_arrays(CASES, f"nf_{k}", wide=True) for k in ("features", "scores")
)


def objects() -> np.ndarray:
    n = len(SCORES["rdm_neural"])
    return np.repeat(np.arange(n), len(FEATURES["neural"]) // n)


@needs(SCORES, "rdm_neural", "rdm_model", "spearman_full")
def test_object_rdms():
    index = objects()
    rdms = []
    for name in ("neural", "model"):
        rdms.append(sim.rdm(sim.object_means(FEATURES[name], index, index.max() + 1)))
        close(rdms[-1], SCORES[f"rdm_{name}"], 1e-12)
    close(sim.compare(*map(sim.upper, rdms)), SCORES["spearman_full"], 1e-12)


@needs(SCORES, "batch_indices", "batch_loss_f64", "batch_grad_f64")
def test_rdm_loss():
    rows = SCORES["batch_indices"].astype(int)
    index = objects()[rows]
    target = sim.rdm(sim.object_means(FEATURES["neural"][rows], index, index.max() + 1))
    close(target, SCORES["batch_neural_rdm_f32"])
    loss, gradient = jax.value_and_grad(sim.rdm_loss)(
        jnp.asarray(FEATURES["model"][rows]), target, index
    )
    close(loss, SCORES["batch_loss_f64"], 1e-12)
    close(gradient, SCORES["batch_grad_f64"], 1e-14)  # entries reach 1e-5


@needs(SCORES, "batch_indices")
def test_sit_of_a_batch():
    rows = SCORES["batch_indices"].astype(int)
    if "sit_batch_ratio1_nonoise" in SCORES:
        score = sim.sit(
            FEATURES["model"], FEATURES["neural"], objects(), noise=None, images=rows[None]
        )
        close(score.mean, SCORES["sit_batch_ratio1_nonoise"], 1e-12)


@needs(SCORES, "nc_noise_f16", "nc_out", "split_val")
def test_noise_matching():
    rows = SCORES["split_val"].astype(int)
    noisy = sim.match_noise(
        FEATURES["model"][rows], FEATURES["neural"][rows], SCORES["nc_noise_f16"]
    )
    close(noisy, SCORES["nc_out"])


@needs(SCORES, "sit_injected_noise_f16")
def test_sit_with_given_noise():
    score = sim.sit(
        FEATURES["model"],
        FEATURES["neural"],
        objects(),
        images=SCORES["sit_injected_val"].astype(int),
        normal_noise=SCORES["sit_injected_noise_f16"],
    )
    close(score.scores, SCORES["sit_injected_scores"], 1e-12)
    close([score.mean, score.std], SCORES["sit_injected_mean_std"], 1e-12)


@needs(SCORES, "sit_nonoise_val")
def test_sit_without_noise():
    images = SCORES["sit_nonoise_val"].astype(int)
    score = sim.sit(FEATURES["model"], FEATURES["neural"], objects(), images=images, noise=None)
    close(score.scores, SCORES["sit_nonoise_scores"], 1e-12)
    close([score.mean, score.std], SCORES["sit_nonoise_mean_std"], 1e-12)


@needs(SCORES, "sit_seeded_val", "sit_seeded_scores")
@pytest.mark.slow
def test_sit_in_distribution():
    """The same images with our noise: scores differ by the noise of single draws only."""
    gold = SCORES["sit_seeded_scores"]
    images = SCORES["sit_seeded_val"].astype(int)
    for key, given in ((jax.random.key(1), images), (jax.random.key(2), None)):
        score = sim.sit(
            FEATURES["model"], FEATURES["neural"], objects(), key, images=given, n_splits=len(gold)
        )
        error = np.hypot(score.std, gold.std()) / len(gold) ** 0.5
        assert abs(score.mean - gold.mean()) < 4 * error
        assert 0.6 < score.std / gold.std() < 1.6
        if given is not None:
            assert np.corrcoef(score.scores, gold)[0, 1] > 0.9


def svm_splits(name: str) -> tuple[np.ndarray, np.ndarray]:
    test = SCORES[f"svm_{name}_test_idx"].astype(int)
    everything = np.arange(len(FEATURES["labels"]))
    return np.stack([np.setdiff1d(everything, rows) for rows in test]), test


@pytest.mark.slow
@needs(SCORES, "svm_neural_test_idx")
@pytest.mark.parametrize("name", [k[:-5] for k in SCORES if re.fullmatch(r"svm_one_C\w+_coef", k)])
def test_svm_coefficients(name):
    train, test = svm_splits("neural")
    labels = FEATURES["labels"].astype(int)
    c = float(name.removeprefix("svm_one_C").replace("p", "."))
    weights, bias = sim.svm_fit(
        FEATURES["neural"][train[0]], labels[train[0]], c, n_classes=labels.max() + 1
    )
    close(weights, SCORES[f"{name}_coef"])
    close(bias, SCORES[f"{name}_intercept"])
    predicted = np.argmax(FEATURES["neural"][test[0]] @ weights.T + bias[None], 1)
    correct = np.asarray(predicted) == labels[test[0]]
    close(correct.mean(), SCORES[f"{name}_test_acc"], 1e-12)


@pytest.mark.parametrize(
    ("name", "n_splits"),
    [
        ("neural", 1),
        pytest.param("neural", None, marks=pytest.mark.slow),
        pytest.param("model", None, marks=pytest.mark.slow),
    ],
)
def test_svm_accuracies(name, n_splits):
    gold = SCORES.get(f"svm_{name}_scores_C_by_split")
    if gold is None:
        pytest.skip(f"these vectors have no svm_{name}_scores_C_by_split")
    train, test = (part[:n_splits] for part in svm_splits(name))
    cs = sim.SVM_CS[:3] if n_splits else sim.SVM_CS
    labels = FEATURES["labels"].astype(int)
    ours = np.asarray(
        sim.svm_accuracy(FEATURES[name], labels, train, test, cs, n_classes=labels.max() + 1)
    )
    images = np.abs(ours - gold[: len(cs), :n_splits]) * test.shape[1]
    # The published solver stops short of the optimum where C is large: a few images differ there.
    assert images[np.array(cs) < 0.5].max() < 0.5
    assert images.max() < 0.015 * test.shape[1]

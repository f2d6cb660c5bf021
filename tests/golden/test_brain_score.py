"""Predictivity, CKA, ceilings and behaviour against Brain-Score, in float64."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import similarity as sim
from jaxbio.similarity.one_to_one import one_to_one_predict
from jaxbio.similarity.pls import pls_components, pls_of_split
from jaxbio.similarity.ridge import linear_predict, ridge_cv_predict, ridge_predict
from tests.golden import vectors
from tests.golden.vectors import close, needs

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("float64")]

CASES = vectors.dynamics_cases("brain_score")
DATA, METRICS, BEHAVIOUR = (
    vectors.dynamics_arrays(CASES, f"bs_{k}", wide=True) for k in ("data", "scores", "behaviour")
)


def bs_means() -> tuple[np.ndarray, np.ndarray]:
    return DATA["model"], DATA["neural_reps"].mean(0)


def bs_splits(case: str) -> sim.Splits:
    return sim.Splits(
        *(np.sort(METRICS[f"{case}_splits_{k}"].astype(int), 1) for k in ("train", "test"))
    )


CROSSVALIDATED = {
    "pls_cv": ("pls", {}),
    "pls_cv_10comp": ("pls", {"n_components": 10}),
    "pls_cv_scaled": ("pls", {}),
    "reverse_pls_cv": ("pls", {}),
    "ridge_cv": ("ridge", {}),
    "linear_cv": ("linear", {}),
    "neuron_to_neuron_cv": ("one-to-one", {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", [k for k in CROSSVALIDATED if f"{k}_raw" in METRICS])
def test_predictivity(case):
    method, options = CROSSVALIDATED[case]
    x, y = bs_means()
    if case == "reverse_pls_cv":
        x, y = y, x
    if case == "pls_cv_scaled":
        y = (y - y.mean(0)) / y.std(0)
    result = sim.predictivity(x, y, method=method, splits=bs_splits(case), **options)
    close(result.per_neuroid, METRICS[f"{case}_raw"])
    close([result.score, result.error], [CASES[case]["score"], CASES[case]["error"]])


@needs(METRICS, "pls_cv_splits_train")
def test_splits_are_those_of_brain_score():
    ours, gold = sim.stratified_splits(DATA["object_index"]), bs_splits("pls_cv")
    assert np.array_equal(ours.train, gold.train)
    assert np.array_equal(ours.test, gold.test)


@needs(METRICS, "pls_cv_splits_train")
@pytest.mark.parametrize("case", ["pls", "ridge", "linear", "single", "ridgecv"])
def test_predictions_on_the_first_split(case):
    if f"split0_pred_{case}" not in METRICS:
        pytest.skip(f"the vectors of JAXBIO_GOLDEN_DIR hold no split0_pred_{case}")
    x, y = map(jnp.asarray, bs_means())
    train, test = (part[:1] for part in bs_splits("pls_cv"))
    k = sim.gram(x)
    if case == "pls":
        predicted = [pls_of_split(y, pls_components(x, y, train, 25)[0], train[0], test[0])]
    elif case == "ridge":
        predicted = ridge_predict(k, y, train, test, 1.0)
    elif case == "linear":
        predicted = linear_predict(k, y, train, test)
    elif case == "single":
        predicted, _ = one_to_one_predict(x, y, train, test)
    else:
        alphas = jnp.asarray(CASES["ridgecv_alphas"])
        predicted, alpha = ridge_cv_predict(k, y, train, test, alphas)
        assert alpha[0] == CASES["split0_ridgecv"]["alpha"]
    close(predicted[0], METRICS[f"split0_pred_{case}"], 1e-5)  # stored as float32


@pytest.mark.slow
def test_rdm_metric():
    if "rdm" not in CASES:
        pytest.skip("the vectors of JAXBIO_GOLDEN_DIR hold no score of RDMs")
    x, y = (sim.rdm(z) for z in bs_means())
    close(sim.compare(sim.upper(x), sim.upper(y)), CASES["rdm"]["score"])
    if "rdm_cv_raw" in METRICS:
        parts = METRICS["rdm_cv_splits_test"].astype(int)
        close(sim.rdm_scores(x, y, subsets=parts), METRICS["rdm_cv_raw"])


def test_cka():
    x, y = bs_means()
    for case, unbiased in (("cka", True), ("cka_biased", False)):
        if case in CASES:
            close(sim.cka(x, y, unbiased=unbiased), CASES[case]["score"])
    if "cka_cv_raw" in METRICS:
        parts = METRICS["cka_cv_splits_test"].astype(int)
        close(sim.cka(x, y, subsets=parts), METRICS["cka_cv_raw"])


@needs(METRICS, "ic_half1", "ic_half2", "ic_raw")
def test_internal_consistency():
    halves = np.stack([METRICS["ic_half1"], METRICS["ic_half2"]], 1).astype(int)
    result = sim.internal_consistency(DATA["neural_reps"], halves)
    gold = CASES["internal_consistency"]
    close(result.per_neuroid, METRICS["ic_raw"])
    close([result.score, result.error], [gold["score"], gold["error"]])
    close(sim.ceiled(CASES["pls_cv"]["score"], result.score), CASES["ceiled_pls"]["score"])


@needs(METRICS, "predictor_consistency_raw")
def test_consistency_with_halves_per_stimulus():
    repetitions, stimuli, _ = DATA["neural_reps"].shape
    rng = np.random.default_rng(0)
    halves = []
    for _ in METRICS["predictor_consistency_raw"]:
        order = np.stack([rng.permutation(repetitions) for _ in range(stimuli)])
        halves.append(np.stack(np.split(order, 2, 1)))
    result = sim.internal_consistency(DATA["neural_reps"], np.stack(halves))
    close(result.per_neuroid, METRICS["predictor_consistency_raw"])


@pytest.mark.skipif(
    "rsa_ceiling" not in CASES, reason="the vectors of JAXBIO_GOLDEN_DIR hold no rsa_ceiling"
)
@pytest.mark.slow
def test_mean_rdm_ceiling():
    _, y = bs_means()
    subjects = np.stack([sim.upper(sim.rdm(y[:, i::4])) for i in range(4)])
    gold = CASES["rsa_ceiling"]
    close(sim.mean_rdm_ceiling(subjects), [gold["lower_loo"], gold["score_upper"]])


@needs(BEHAVIOUR, "trial_image", "shuffled_trial_order")
@pytest.mark.parametrize("case", ["i2n", "i2"])
def test_behaviour(case):
    trials = sim.Trials(*(BEHAVIOUR[f"trial_{k}"].astype(int) for k in sim.Trials._fields))
    truth = BEHAVIOUR["image_truth"].astype(int)
    orders = BEHAVIOUR["shuffled_trial_order"].astype(int)
    probabilities = BEHAVIOUR["model_probabilities"]
    normalise = case == "i2n"
    ours = sim.discriminability(sim.model_confusions(probabilities, truth), truth, normalise)
    close(ours, BEHAVIOUR[f"{case}_model_matrix"])
    half = orders[0][: orders.shape[1] // 2]
    confusions = sim.human_confusions(
        sim.Trials(*(column[half] for column in trials)), truth, probabilities.shape[1]
    )
    close(confusions, BEHAVIOUR["half1_response_matrix"])
    ours = sim.discriminability(confusions, truth, normalise)
    close(ours, BEHAVIOUR[f"{case}_half1_matrix"])
    scores, ceilings = sim.i2n_consistency(
        probabilities, trials, truth, orders, normalise=normalise
    )
    close(scores, CASES[case]["per_repetition"])
    close(ceilings, CASES[case]["ceiling_per_repetition"])


@needs(BEHAVIOUR, "ec_truth")
def test_error_consistency():
    correct = BEHAVIOUR["ec_responses_subjects_then_model"] == BEHAVIOUR["ec_truth"][None]
    subjects, model = correct[:-1], correct[-1]
    gold = CASES["error_consistency"]
    ours = sim.error_consistency(subjects, np.broadcast_to(model, subjects.shape))
    close(ours.mean(), gold["score"])
    a, b = np.triu_indices(len(subjects), 1)
    close(sim.error_consistency(subjects[a], subjects[b]).mean(), gold["ceiling"])

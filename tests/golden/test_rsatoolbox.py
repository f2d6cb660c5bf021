"""RDMs, comparators, ceilings and inference against rsatoolbox, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio import similarity as sim
from jaxbio.similarity.bootstrap import resampled_conditions, resampled_subjects
from tests.golden import vectors
from tests.golden.vectors import METHODS, close

pytestmark = [pytest.mark.golden, pytest.mark.usefixtures("float64")]

CASES = vectors.dynamics_cases("rsa")
SYNTHETIC = CASES.get("rsa_synthetic", {})
ARRAYS = vectors.dynamics_arrays(CASES, "rsa_synthetic", wide=True)


def averages(name: str = "measurements") -> tuple[np.ndarray, np.ndarray]:
    """Means over folds ``[n, channels]`` and per fold ``[folds, n, channels]``."""
    x = ARRAYS[name].astype(np.float64)
    condition, fold = ARRAYS["condition"], ARRAYS["fold"]
    means = np.stack([x[condition == c].mean(0) for c in np.unique(condition)])
    folds = np.stack(
        [
            [x[(condition == c) & (fold == f)].mean(0) for c in np.unique(condition)]
            for f in np.unique(fold)
        ]
    )
    return means, folds


def rdm_cases():
    means, folds = averages()
    counts, count_folds = averages("counts")
    precision = ARRAYS["noise_precision"]
    return {
        "euclidean": lambda: sim.rdm(means, "euclidean"),
        "correlation": lambda: sim.rdm(means),
        "euclidean_remove_mean": lambda: sim.rdm(means, "euclidean", remove_mean=True),
        "mahalanobis": lambda: sim.rdm(means, "mahalanobis", precision=precision),
        "crossnobis": lambda: sim.crossnobis(folds, precision),
        "crossnobis_identity": lambda: sim.crossnobis(folds),
        "crossnobis_remove_mean": lambda: sim.crossnobis(folds, precision, remove_mean=True),
        "crossnobis_perfold_precision": lambda: sim.crossnobis(
            folds, ARRAYS["noise_precision_per_fold"]
        ),
        "poisson": lambda: sim.rdm(counts, "poisson"),
        # The reference returns its last fold.
        "poisson_cv": lambda: sim.crossvalidated_poisson(count_folds)[-1],
    }


@pytest.mark.parametrize(
    "case",
    [k[4:] for k, v in ARRAYS.items() if k.startswith("rdm_") and v.ndim == 1],
)
def test_rdms(case):
    close(sim.upper(rdm_cases()[case]()), ARRAYS[f"rdm_{case}"], 1e-10)


@pytest.mark.parametrize(
    ("case", "method"),
    [
        ("full", "full"),
        ("diag", "diagonal"),
        ("shrinkage_eye", "shrinkage-identity"),
        ("shrinkage_diag", "shrinkage-diagonal"),
    ],
)
def test_noise_covariances(case, method):
    if f"cov_residuals_{case}" not in ARRAYS:
        pytest.skip("not in these vectors")
    condition = ARRAYS["condition"]
    left = sim.residuals(ARRAYS["measurements"], condition)
    dof = len(left) - len(np.unique(condition))
    close(sim.noise_covariance(left, method, dof=dof), ARRAYS[f"cov_residuals_{case}"], 1e-10)
    gold = ARRAYS.get(f"prec_measurements_{case}")
    if gold is not None:
        close(sim.noise_precision(left, method, dof=dof), gold, 1e-9)


@pytest.mark.parametrize("name", [k for k in METHODS if f"cmp_{k.replace('-', '_')}" in ARRAYS])
def test_comparators(name):
    ours = sim.compare(ARRAYS["model_rdms"], ARRAYS["subject_rdms"], METHODS[name])
    tolerance = 1e-12 if METHODS[name] in ("spearman", "tau-a", "tau-b", "rho-a") else 1e-6
    close(ours, ARRAYS[f"cmp_{name.replace('-', '_')}"], tolerance)


@pytest.mark.parametrize("name", ["corr_cov", "cosine_cov"])
@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_whitened_comparators_with_covariance(name, kind):
    """Ours is exact; the reference solves to 1e-6, and takes a short cut for a vector."""
    gold = ARRAYS.get(f"cmp_{name}_sigma_{kind[:3]}")
    if gold is None:
        pytest.skip("not in these vectors")
    ours = sim.compare(
        ARRAYS["model_rdms"],
        ARRAYS["subject_rdms"],
        METHODS[name],
        sigma=ARRAYS[f"sigma_k_{kind}"],
    )
    stated = SYNTHETIC["definition_check_cosine_cov"]
    close(ours, gold, 1.5 * stated["matrix" if kind == "matrix" else "vector_exact_vs_rsatoolbox"])


@pytest.mark.parametrize("name", list(SYNTHETIC.get("noise_ceiling_lower_upper", {})))
def test_noise_ceilings(name):
    ours = sim.rsa_noise_ceiling(ARRAYS["subject_rdms"], METHODS[name])
    close(ours, SYNTHETIC["noise_ceiling_lower_upper"][name], 1e-10)


@pytest.mark.parametrize("name", list(SYNTHETIC.get("eval_fixed", {})))
def test_fixed_evaluation(name):
    ours = sim.evaluate_fixed(ARRAYS["model_rdms"], ARRAYS["subject_rdms"], METHODS[name])
    close(ours.score, SYNTHETIC["eval_fixed"][name]["mean"], 1e-10)
    close(ours.sem, SYNTHETIC["eval_fixed"][name]["sem"], 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", [k for k in METHODS if f"boot_eval_{k}" in ARRAYS])
def test_bootstrap_samples(name):
    models, subjects = ARRAYS["model_rdms"], ARRAYS["subject_rdms"]
    n, s = len(ARRAYS["sigma_k_vector"]), len(subjects)
    of_conditions, of_subjects = (
        jnp.asarray([np.bincount(row, minlength=size) for row in ARRAYS[f"boot_{key}_idx"]])
        for key, size in (("pattern", n), ("rdm", s))
    )
    ours = resampled_conditions(models, subjects, of_conditions, of_subjects, METHODS[name], True)
    close(ours.scores, ARRAYS[f"boot_eval_{name}"], 1e-10)
    close(ours.ceilings, ARRAYS[f"boot_nc_{name}"], 1e-10)
    ones = jnp.ones_like(of_conditions)
    both = (
        resampled_conditions(models, subjects, ones, of_subjects, METHODS[name], True),
        resampled_subjects(models, subjects, of_subjects, METHODS[name], True),
    )
    close(both[0].scores, both[1].scores, 1e-10)
    close(both[0].ceilings, both[1].ceilings, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["corr", "spearman"])
def test_crossvalidated_ceiling(name):
    gold = SYNTHETIC.get("cv_noise_ceiling_kfold", {})
    if name not in gold:
        pytest.skip("not in these vectors")
    folds = [
        sim.Fold(np.array(f["test_rdms"]), np.array(f["test_patterns"]), np.array(train))
        for f, train in zip(gold["folds"], gold["ceil_rdms"], strict=True)
    ]
    ours = sim.evaluate_crossvalidated(
        ARRAYS["model_rdms"], ARRAYS["subject_rdms"], folds, METHODS[name]
    )
    close(ours.ceiling, gold[name], 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("case", list(SYNTHETIC.get("bootstrap_1000", {})))
def test_bootstrap_errors(case):
    over, name = case.split("_", 1)
    over = {"rdm": "subjects", "pattern": "conditions"}.get(over, over)
    gold = SYNTHETIC["bootstrap_1000"][case]
    ours = sim.evaluate_bootstrap(
        ARRAYS["model_rdms"],
        ARRAYS["subject_rdms"],
        jax.random.key(0),
        METHODS[name],
        over=over,
        n_bootstrap=500,
    )
    # Both are random: a standard deviation of 500 samples is known to 3 %.
    np.testing.assert_allclose(ours.sem, gold["result_sem"], rtol=0.2)
    np.testing.assert_allclose(
        ours.samples.mean(0), gold["result_means"], atol=5 * max(ours.sem) / 500**0.5
    )

"""Inference on RDM comparisons: scores of fixed models with standard errors and intervals.

Reference:
    Schutt et al. 2023, "Statistical inference on representational geometries", eLife 12:e82566;
    Nili et al. 2014, PLoS Comput Biol 10.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.bootstrap import draw_counts, resampled_conditions, resampled_subjects
from jaxbio.similarity.ceilings import NoiseCeiling, rsa_noise_ceiling
from jaxbio.similarity.compare import _TAUS, _WHITENED, COMPARATORS, _compare, pool, vectors
from jaxbio.similarity.rdm import conditions

GENERALISATIONS = ("subjects", "conditions", "both", "dual")


class Inference(NamedTuple):
    """Scores of M models with what they are uncertain by.

    Attributes:
        score: mean over subjects of the score on all conditions, ``[M]``.
        sem: standard error, corrected for the small number of what was resampled, ``[M]``.
        low: lower end of the confidence interval ``[M]``.
        high: upper end.
        ceiling: noise ceiling of all data.
        p_zero: one-sided probability of a score so high if the true one were 0, ``[M]``.
        p_ceiling: probability of a score so far below the lower ceiling, one-sided, or so far from
            it, two-sided, ``[M]``.
        p_difference: two-sided probability of the difference of two models, ``[M, M]``.
        samples: the scores in every bootstrap sample ``[B, M]``, or of every subject ``[S, M]``.
        dof: degrees of freedom of the t distribution used.
        ceiling_samples: lower and upper ceiling in every bootstrap sample ``[B, 2]``, if asked for.
    """

    score: np.ndarray
    sem: np.ndarray
    low: np.ndarray
    high: np.ndarray
    ceiling: NoiseCeiling
    p_zero: np.ndarray
    p_ceiling: np.ndarray
    p_difference: np.ndarray
    samples: np.ndarray
    dof: int
    ceiling_samples: np.ndarray | None = None


def evaluate_fixed(
    models: Any,
    subjects: Any,
    method: str = "spearman",
    *,
    confidence: float = 0.95,
    sigma: Any = None,
    two_sided: bool = False,
) -> Inference:
    """Scores of fixed models with the subjects' spread as their error.

    Args:
        models: RDM vectors ``[M, P]``.
        subjects: RDM vectors ``[S, P]``.
        method: comparator, see :func:`jaxbio.similarity.compare`.
        confidence: of the intervals, in (0, 1).
        sigma: see ``compare``.
        two_sided: test scores against the ceiling two-sidedly, as rsatoolbox does.

    Returns:
        Scores, errors and tests; they generalise to other subjects, not to other conditions.

    Raises:
        InputError: if shapes do not fit, values are NaN, or there are fewer than 2 subjects.
    """
    models, subjects = _checked(models, subjects, method)
    each = np.asarray(_compare(models, subjects, sigma, method)).T  # [S, M]
    ceiling = rsa_noise_ceiling(subjects, method, sigma=sigma)
    return _over_subjects(each, ceiling, confidence, two_sided)


def evaluate_bootstrap(
    models: Any,
    subjects: Any,
    key: jax.Array,
    method: str = "spearman",
    *,
    over: str = "dual",
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    sample_ceilings: bool = False,
    two_sided: bool = False,
    mean_of_samples: bool = False,
) -> Inference:
    """Scores of fixed models with errors from the bootstrap.

    ==========  =====================================================================
    subjects    resamples subjects: would the scores hold for other subjects?
    conditions  resamples conditions: for other stimuli?
    both        resamples both at once: too large an error, as noise counts twice
    dual        ``2 (v_subjects + v_conditions) - v_both``, which corrects that; not below
                either, not above the variance of both
    ==========  =====================================================================

    Variances are multiplied by n / (n - 1) of what is resampled, the smaller n where it is both.

    Args:
        models: RDM vectors ``[M, P]``.
        subjects: RDM vectors ``[S, P]``.
        key: random key.
        method: comparator; whitened ones over subjects only. Kendall's taus take long, see
            :mod:`jaxbio.similarity.kendall`.
        over: one of the above.
        n_bootstrap: number of samples.
        confidence: of the intervals, in (0, 1).
        sample_ceilings: compute the noise ceilings of every sample, too, which takes many times as
            long as the rest (docs/results.md); not with Kendall's taus.
        two_sided: test scores against the ceiling two-sidedly, as rsatoolbox does.
        mean_of_samples: report means over samples, as rsatoolbox does, instead of the score of all
            data; the ceiling, too, where there are ``sample_ceilings``.

    Returns:
        Scores, errors and tests.

    Raises:
        InputError: if shapes do not fit, values are NaN, there are fewer than 2 subjects or 3
            conditions, or a name is unknown.

    Example:
        >>> result = evaluate_bootstrap(layers, subjects, jax.random.key(0), "rho-a")
        >>> result.score - result.low
    """
    checks.choice(over, GENERALISATIONS, "generalisation (over)")
    models, subjects = _checked(models, subjects, method)
    n, s = conditions(subjects.shape[1]), len(subjects)
    if over != "subjects" and method in _WHITENED:
        raise InputError(f"{method} can be bootstrapped over subjects only, not over={over!r}")
    if n < 3 or n_bootstrap < 2:
        raise InputError(
            f"a bootstrap needs at least 3 conditions and 2 samples, got {n}, {n_bootstrap}"
        )
    if sample_ceilings and method in _TAUS:
        raise InputError(f"sample_ceilings is not available with {method}; use rho-a")
    for_conditions, for_subjects = jax.random.split(key)
    of_conditions = draw_counts(for_conditions, n, n_bootstrap)
    # Two different conditions make one pair, and nothing to correlate: the whole set instead.
    few = (of_conditions > 0).sum(1) < 3
    of_conditions = jnp.where(few[:, None], 1, of_conditions)
    of_subjects = draw_counts(for_subjects, s, n_bootstrap)

    def draw(which):
        if which == "subjects":
            return resampled_subjects(models, subjects, of_subjects, method, sample_ceilings)
        counts = of_subjects if which == "both" else jnp.ones_like(of_subjects)
        return resampled_conditions(
            models, subjects, of_conditions, counts, method, sample_ceilings
        )

    def variances_of(drawn, which):
        # A model of few different values can be constant in a sample: that has no score.
        samples = np.asarray(drawn.scores)
        samples = samples[np.isfinite(samples).all(1)]
        size = {"subjects": s, "conditions": n, "both": min(s, n)}[which]
        return _contrasts(np.atleast_2d(np.cov(samples.T)) * size / (size - 1))

    if over == "dual":
        parts = {which: draw(which) for which in ("subjects", "conditions", "both")}
        by_subject, by_condition, by_both = (variances_of(parts[w], w) for w in parts)
        drawn = parts["both"]
        least = np.maximum(by_subject, by_condition)
        variances = np.clip(
            2 * (by_subject + by_condition) - by_both, least, np.maximum(by_both, least)
        )
    else:
        drawn = draw(over)
        variances = variances_of(drawn, over)
    score = np.asarray(_compare(models, subjects, None, method)).mean(1)
    dof = {"subjects": s, "conditions": n}.get(over, min(s, n)) - 1
    ceiling = rsa_noise_ceiling(subjects, method)
    bounds = None if drawn.ceilings is None else np.asarray(drawn.ceilings)
    if mean_of_samples:
        score = np.nanmean(np.asarray(drawn.scores), 0)
        ceiling = ceiling if bounds is None else NoiseCeiling(*np.nanmean(bounds, 0))
    result = _tests(score, variances, ceiling, drawn.scores, dof, confidence, two_sided)
    return result._replace(ceiling_samples=bounds)


class Fold(NamedTuple):
    """One fold: subjects and conditions that are tested, and the subjects that are not.

    Attributes:
        test_subjects: indices.
        test_conditions: indices.
        train_subjects: indices; the lower noise ceiling is their average.
    """

    test_subjects: np.ndarray
    test_conditions: np.ndarray
    train_subjects: np.ndarray


def make_folds(
    n_subjects: int, n_conditions: int, *, k_subjects: int, k_conditions: int, seed: int = 0
) -> list[Fold]:
    """Random folds: every subject group with every condition group.

    Args:
        n_subjects: number of subjects.
        n_conditions: number of conditions.
        k_subjects: groups of subjects, at least 2.
        k_conditions: groups of conditions, each of at least 3.
        seed: of the random partition.

    Returns:
        ``k_subjects * k_conditions`` folds.

    Raises:
        InputError: if the groups are too small or too few.
    """
    if not 2 <= k_subjects <= n_subjects or not 1 <= k_conditions <= n_conditions // 3:
        raise InputError(
            f"k_subjects={k_subjects} must lie in [2, {n_subjects}], k_conditions={k_conditions} "
            f"in [1, {n_conditions // 3}] (3 conditions per group)"
        )
    rng = np.random.default_rng(seed)
    return [
        Fold(tested, part, np.setdiff1d(np.arange(n_subjects), tested))
        for tested in np.array_split(rng.permutation(n_subjects), k_subjects)
        for part in np.array_split(rng.permutation(n_conditions), k_conditions)
    ]


def evaluate_crossvalidated(
    models: Any,
    subjects: Any,
    folds: Sequence[Fold],
    method: str = "spearman",
    *,
    confidence: float = 0.95,
    two_sided: bool = False,
) -> Inference:
    """Scores of fixed models on held-out conditions and subjects.

    A subject's score is the mean over the folds that test it; errors are those of the mean over
    subjects. The noise ceiling is crossvalidated, too: a fold's test subjects against the average
    of the training subjects (lower) and of all subjects (upper), on the test conditions.

    Args:
        models: RDM vectors ``[M, P]``.
        subjects: RDM vectors ``[S, P]``.
        folds: see :func:`make_folds`.
        method: comparator.
        confidence: of the intervals, in (0, 1).
        two_sided: test scores against the ceiling two-sidedly, as rsatoolbox does.

    Returns:
        Scores, errors and tests.

    Raises:
        InputError: if shapes do not fit, values are NaN, or a subject is in no fold.
    """
    models, subjects = _checked(models, subjects, method)
    n = conditions(subjects.shape[1])
    total = np.zeros((len(subjects), len(models)))
    tested = np.zeros(len(subjects))
    bounds = []
    everyone = pool(subjects, method)  # over all conditions
    for fold in folds:
        pairs = _pairs_among(np.asarray(fold.test_conditions), n)
        test = subjects[np.asarray(fold.test_subjects)][:, pairs]
        train = subjects[np.asarray(fold.train_subjects)][:, pairs]
        scores = _compare(test, models[:, pairs], None, method)
        np.add.at(total, np.asarray(fold.test_subjects), np.asarray(scores))
        np.add.at(tested, np.asarray(fold.test_subjects), 1)
        pools = jnp.stack([pool(train, method), everyone[pairs]])
        bounds.append(_compare(test, pools, None, method).mean(0))
    if not tested.all():
        raise InputError(f"subject {int(tested.argmin())} is tested in no fold")
    each = total / tested[:, None]
    lower, upper = jnp.stack(bounds).mean(0)
    return _over_subjects(each, NoiseCeiling(lower, upper), confidence, two_sided)


def _checked(models: Any, subjects: Any, method: str) -> tuple[jax.Array, jax.Array]:
    checks.choice(method, COMPARATORS, "comparator")
    models, subjects = (
        jnp.atleast_2d(vectors(x, method, name))
        for x, name in ((models, "models"), (subjects, "subjects"))
    )
    checks.same_length(
        models.shape[1], subjects.shape[1], "models", "subjects", "pairs of conditions"
    )
    if len(subjects) < 2:
        raise InputError("inference needs at least 2 subjects, there is 1")
    return models, subjects


def _pairs_among(chosen: np.ndarray, n: int) -> np.ndarray:
    """Positions in the RDM vector of the pairs of chosen conditions."""
    row, column = np.triu_indices(n, 1)
    return np.flatnonzero(np.isin(row, chosen) & np.isin(column, chosen))


def _contrasts(covariance: np.ndarray) -> np.ndarray:
    """Variances of the models (diagonal) and of the differences of two models."""
    own = np.diag(covariance)
    return np.where(np.eye(len(own), dtype=bool), covariance, own[:, None] + own - 2 * covariance)


def _over_subjects(each, ceiling, confidence, two_sided) -> Inference:
    """From the scores of every subject ``[S, M]``, whose spread is the error."""
    variances = _contrasts(np.atleast_2d(np.cov(each.T)) / len(each))
    return _tests(each.mean(0), variances, ceiling, each, len(each) - 1, confidence, two_sided)


def _tests(score, variances, ceiling, samples, dof, confidence, two_sided) -> Inference:
    from scipy import stats  # a slow import

    if not 0 < confidence < 1:
        raise InputError(f"confidence={confidence}, must lie in (0, 1)")
    score = np.asarray(score, float)
    sem = np.sqrt(np.diag(variances))
    reach = stats.t.ppf((1 + confidence) / 2, dof) * sem
    with np.errstate(divide="ignore", invalid="ignore"):  # models without spread: t = +-inf
        p_zero = stats.t.sf(score / sem, dof)
        below = (float(ceiling.lower) - score) / sem
        p_ceiling = 2 * stats.t.sf(np.abs(below), dof) if two_sided else stats.t.sf(below, dof)
        t = np.abs(score[:, None] - score) / np.sqrt(np.maximum(variances, 0))
        p_difference = np.where(np.eye(len(score), dtype=bool), 1.0, 2 * stats.t.sf(t, dof))
    return Inference(
        score, sem, score - reach, score + reach, ceiling, p_zero, p_ceiling, p_difference,
        np.asarray(samples), dof,
    )  # fmt: skip

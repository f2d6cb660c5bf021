"""Noise ceilings: how well the best possible model could score, given the recordings.

Reference:
    Nili et al. 2014, PLoS Comput Biol 10 (RDMs); Spearman 1910 and Brown 1910 (split halves);
    Schrimpf et al. 2018, "Brain-Score", doi:10.1101/407007.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.compare import COMPARATORS, _compare, scaled, vectors
from jaxbio.similarity.ranks import pearson_columns


class NoiseCeiling(NamedTuple):
    """Bounds of the score that the unknown true model would reach.

    Attributes:
        lower: each subject against the average of the others.
        upper: each subject against the average of all, itself included.
    """

    lower: jax.Array
    upper: jax.Array


def rsa_noise_ceiling(
    subjects: Any, method: str = "spearman", *, groups: Any = None, sigma: Any = None
) -> NoiseCeiling:
    """Noise ceiling of RDM comparisons from the agreement of subjects.

    Args:
        subjects: RDM vectors ``[S, P]``.
        method: comparator, see :func:`jaxbio.similarity.compare`. RDMs are averaged in its own
            units: ranks, z-scores, or root-mean-square normalised.
        groups: label of each RDM ``[S]``, such as the subject of each session: one group is left
            out at a time, and its RDMs' mean counts. None: each is a group of its own.
        sigma: see :func:`jaxbio.similarity.compare`.

    Returns:
        Lower and upper bound, scalars.

    Raises:
        InputError: if there are fewer than 2 groups, or as ``compare``.
    """
    subjects, index, n_groups = _grouped(subjects, method, groups)
    one_hot = jax.nn.one_hot(index, n_groups, axis=0, dtype=subjects.dtype)
    return NoiseCeiling(*_leave_one_out(subjects, one_hot, sigma, method))


def mean_rdm_ceiling(subjects: Any, method: str = "spearman") -> NoiseCeiling:
    """Brain-Score's RDM ceiling: against the plain mean RDM, of all (upper) or of the others.

    Args:
        subjects: RDM vectors ``[S, P]``.
        method: comparator.

    Returns:
        Lower and upper bound, scalars.

    Raises:
        InputError: as :func:`rsa_noise_ceiling`.
    """
    subjects, _, n = _grouped(subjects, method, None)
    total = subjects.sum(0, keepdims=True)
    others = (total - subjects) / (n - 1)
    lower = jnp.diagonal(_compare(subjects, others, None, method)).mean()
    upper = _compare(subjects, total / n, None, method).mean()
    return NoiseCeiling(lower, upper)


def _grouped(subjects: Any, method: str, groups: Any) -> tuple[jax.Array, np.ndarray, int]:
    """RDM vectors ``[S, P]``, the group of each ``[S]`` and how many groups there are."""
    checks.choice(method, COMPARATORS, "comparator")
    subjects = jnp.atleast_2d(vectors(subjects, method, "subjects"))
    groups = np.arange(len(subjects)) if groups is None else groups
    index, number = checks.whole_labels(groups, len(subjects), "groups")
    if number < 2:
        raise InputError(f"a noise ceiling needs at least 2 subjects, there is {number}")
    return subjects, index, number


def spearman_brown(r: Any, factor: float = 2.0) -> jax.Array:
    """Reliability of a measurement ``factor`` times as long: ``f r / (1 + (f - 1) r)``."""
    r = jnp.asarray(r)
    return factor * r / (1 + (factor - 1) * r)


class Consistency(NamedTuple):
    """Split-half reliability.

    Attributes:
        score: mean over splits of the median over neuroids.
        error: standard deviation over splits divided by the root of their number.
        per_neuroid: corrected correlation ``[splits, neuroids]``.
    """

    score: jax.Array
    error: jax.Array
    per_neuroid: jax.Array


def internal_consistency(
    repetitions: Any,
    halves: Any = None,
    *,
    key: jax.Array | None = None,
    n_splits: int = 10,
    correct: bool = True,
    name: str = "repetitions",
) -> Consistency:
    """Split-half reliability of each neuroid: the ceiling of neural predictivity.

    Pearson's r over stimuli between the means of two halves of the repetitions, corrected by
    Spearman-Brown to the full number of repetitions; median over neuroids; mean over splits.

    Args:
        repetitions: responses ``[R, stimuli, neuroids]``.
        halves: repetitions of the first and of the second half, ``[splits, 2, R // 2]``; or halves
            of their own for every stimulus, ``[splits, 2, stimuli, R // 2]``.
        key: draws the halves, the same ones for all stimuli, where none are given.
        n_splits: how many halves to draw.
        correct: False: without the Spearman-Brown correction.
        name: what the responses are called in errors.

    Returns:
        The ceiling, its error, and all values. Of R repetitions, R odd, one is left out.

    Raises:
        InputError: if there are fewer than 2 repetitions or 3 stimuli, values are NaN, a neuroid
            is constant, or neither ``halves`` nor ``key`` is given.
    """
    x = checks.floats(repetitions, name, 3)
    if x.shape[0] < 2 or x.shape[1] < 3:
        raise InputError(
            f"{name} has {x.shape[0]} repetitions of {x.shape[1]} stimuli, "
            "a ceiling needs at least 2 of 3"
        )
    checks.neuroids_vary(x.mean(0), name)
    if halves is None:
        if key is None:
            raise InputError("internal_consistency needs halves or a key to draw them")
        halves = random_halves(key, x.shape[0], n_splits)
    halves = np.asarray(halves) if checks.known(halves) else halves
    if halves.ndim not in (3, 4) or halves.shape[1] != 2:
        raise InputError(
            f"halves is {halves.shape}, must be [splits, 2, repetitions] or per stimulus"
        )
    r = _split_half(x, jnp.asarray(halves))
    r = spearman_brown(r) if correct else r
    score, error = over_splits(jnp.median(r, -1))
    return Consistency(score, error, r)


def random_halves(key: jax.Array, repetitions: int, n_splits: int) -> jax.Array:
    """Random disjoint halves of the repetitions, ``[splits, 2, repetitions // 2]``."""
    keys = jax.random.split(key, n_splits)
    drawn = jax.vmap(lambda k: jax.random.permutation(k, repetitions))(keys)
    half = repetitions // 2
    return drawn[:, : 2 * half].reshape(n_splits, 2, half)


def over_splits(scores: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean over the last axis, and its error: population standard deviation / sqrt(number)."""
    return scores.mean(-1), scores.std(-1) / scores.shape[-1] ** 0.5


def ceiled(score: Any, ceiling: Any, rule: str = "explained-variance") -> jax.Array:
    """A score relative to the ceiling.

    Args:
        score: correlation of model and recordings.
        ceiling: reliability of the recordings, above 0.
        rule: "explained-variance" is ``r^2 / ceiling``, as Brain-Score normalises predictivity (a
            corrected split-half correlation is itself a share of explainable variance);
            "ratio" is ``r / ceiling``; "root" is ``r / sqrt(ceiling)``, for behaviour.

    Returns:
        The ceiled score; it may exceed 1.

    Raises:
        InputError: if the rule is unknown or the ceiling not positive.
    """
    checks.choice(rule, ("explained-variance", "ratio", "root"), "ceiling rule")
    score, ceiling = jnp.asarray(score), jnp.asarray(ceiling)
    if checks.known(ceiling) and not bool((ceiling > 0).all()):
        raise InputError(f"ceiling={ceiling}, must be above 0: the recordings are not reliable")
    if rule == "explained-variance":
        return jnp.square(score) / ceiling
    return score / (ceiling if rule == "ratio" else jnp.sqrt(ceiling))


@checks.compiled(static=("method",))
def _leave_one_out(subjects, one_hot, sigma, method):
    units = scaled(subjects, method)
    rest = 1 - one_hot  # [groups, S]
    others = rest @ units / rest.sum(1, keepdims=True)
    pools = jnp.concatenate([others, units.mean(0, keepdims=True)])
    scores = _compare(subjects, pools, sigma, method)  # [S, groups + 1]
    share = one_hot / one_hot.sum(1, keepdims=True)
    return (share * scores[:, :-1].T).sum(1).mean(), (share @ scores[:, -1]).mean()


@checks.compiled
def _split_half(x, halves):
    def one(half):  # [h] or [stimuli, h]
        if half.ndim == 1:
            return x[half].mean(0)
        return jnp.take_along_axis(x, half.T[:, :, None], 0).mean(0)

    return jax.lax.map(lambda pair: pearson_columns(one(pair[0]), one(pair[1])), halves)

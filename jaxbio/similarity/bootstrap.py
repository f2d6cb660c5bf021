"""RDM comparisons in bootstrap samples of conditions and subjects.

A sample that holds condition i ``m_i`` times holds the pair (i, j) ``m_i m_j`` times; pairs of a
condition with itself are left out. So a sample is a set of weights of the pairs, and a score in it
is a weighted score of the original RDMs: nothing is gathered, and ranks come from one sort
(:mod:`jaxbio.similarity.ranks`). Samples stand side by side in memory, a block of them at a time.

Reference:
    Schutt et al. 2023, "Statistical inference on representational geometries", eLife 12:e82566.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.similarity import checks
from jaxbio.similarity.compare import _TAUS, _compare, scaled
from jaxbio.similarity.kendall import weighted_tau
from jaxbio.similarity.ranks import order, weighted_ranks

_BLOCK = 64


class Samples(NamedTuple):
    """Scores in bootstrap samples.

    Attributes:
        scores: mean over the sample's subjects, ``[samples, models]``.
        ceilings: lower and upper noise ceiling in each sample, ``[samples, 2]``; the lower one is
            NaN in a sample of one subject only. None where not asked for.
    """

    scores: jax.Array
    ceilings: jax.Array | None


def draw_counts(key: jax.Array, n: int, samples: int) -> jax.Array:
    """How often each of n things is in samples of n with replacement, ``[samples, n]`` float32."""
    drawn = jax.random.randint(key, (samples, n), 0, n)
    return jax.vmap(lambda row: jnp.zeros(n, jnp.float32).at[row].add(1))(drawn)


@checks.compiled(static=("method", "ceilings"))
def resampled_conditions(
    models: jax.Array,
    subjects: jax.Array,
    condition_counts: jax.Array,
    subject_counts: jax.Array,
    method: str,
    ceilings: bool,
) -> Samples:
    """Scores where conditions, and perhaps subjects, are resampled.

    Args:
        models: RDM vectors ``[M, P]``.
        subjects: RDM vectors ``[S, P]``.
        condition_counts: multiplicities ``[samples, n]``.
        subject_counts: multiplicities ``[samples, S]``.
        method: comparator, not a whitened one.
        ceilings: whether to compute noise ceilings; not with Kendall's taus.

    Returns:
        Scores and ceilings.
    """
    dtype = subjects.dtype
    number, n = condition_counts.shape
    row, column = np.triu_indices(n, 1)
    total = subject_counts.sum(1)
    if method in _TAUS:
        weights = (condition_counts[:, row] * condition_counts[:, column]).astype(dtype)
        each = weighted_tau(models, subjects, weights, method)
        return Samples(jnp.einsum("bms,bs->bm", each, subject_counts) / total[:, None], None)

    model_orders, subject_orders = order(models), order(subjects)
    linear = method in ("pearson", "cosine")  # others need the ranks of averages

    def block(args):
        counts, of_subjects = args  # [B, n], [B, S]
        counts = counts.T.astype(dtype)
        of_subjects = of_subjects.T.astype(dtype)
        weights = counts[row] * counts[column]  # [P, B]
        embedded = lax.map(lambda x: _embed(*x, weights, method), (subjects, subject_orders))
        weighted = embedded * weights[None]
        share = of_subjects / of_subjects.sum(0, keepdims=True)
        target = (weighted * share[:, None]).sum(0)

        def score(x):
            return (target * _embed(*x, weights, method)).sum(0)

        scores = lax.map(score, (models, model_orders))
        if not ceilings:
            return scores.T, jnp.zeros((scores.shape[1], 2), dtype)
        ranked = lax.map(lambda by: weighted_ranks(by, weights), subject_orders)
        units = embedded if linear else ranked
        everyone = (units * of_subjects[:, None]).sum(0)

        def against(pool):  # of subjects: [S, B]
            by = order(pool.T)
            rank = jax.vmap(lambda o, w: weighted_ranks(o, w[:, None])[:, 0])
            values = pool if linear else rank(by, weights.T).T
            return (weighted * _normalised(values, weights, method)[None]).sum(1)

        # Ceilings are means over the different subjects of a sample, however often each is in it.
        present = (of_subjects > 0).astype(dtype)
        different = present.sum(0)
        upper = (present * against(everyone)).sum(0) / different
        own = lax.map(
            lambda s: against(everyone - units[s] * of_subjects[s][None])[s],
            jnp.arange(len(subjects)),
        )
        lower = jnp.where(present > 0, own, 0).sum(0) / different
        lower = jnp.where(different < 2, jnp.nan, lower)
        return scores.T, jnp.stack([lower, upper], 1)

    spare = -number % _BLOCK
    blocks = (
        jnp.pad(x, ((0, spare), (0, 0)), mode="edge").reshape(-1, _BLOCK, x.shape[1])
        for x in (condition_counts, subject_counts)
    )
    scores, bounds = (x.reshape(-1, x.shape[-1])[:number] for x in lax.map(block, tuple(blocks)))
    return Samples(scores, bounds if ceilings else None)


@checks.compiled(static=("method", "ceilings"))
def resampled_subjects(
    models: jax.Array,
    subjects: jax.Array,
    subject_counts: jax.Array,
    method: str,
    ceilings: bool,
) -> Samples:
    """Scores where only subjects are resampled, with any comparator.

    Args:
        models: RDM vectors ``[M, P]``.
        subjects: RDM vectors ``[S, P]``.
        subject_counts: multiplicities ``[samples, S]``.
        method: comparator.
        ceilings: whether to compute noise ceilings.

    Returns:
        Scores and ceilings.
    """
    counts = subject_counts.astype(subjects.dtype)
    share = counts / counts.sum(1, keepdims=True)
    scores = share @ _compare(models, subjects, None, method).T
    if not ceilings:
        return Samples(scores, None)
    units = scaled(subjects, method)
    own = jnp.eye(len(subjects), dtype=units.dtype)

    def one(count):
        # Left out are all copies of a subject; one that is not there changes nothing.
        pools = jnp.concatenate([count[None], count[None] * (1 - own)]) @ units
        present = (count > 0).astype(units.dtype)
        alone = present.sum() < 2
        pools = jnp.where(alone, units[:1], pools)  # no pool at all would divide by zero
        against = _compare(subjects, pools, None, method)
        part = present / present.sum()
        lower = jnp.where(alone, jnp.nan, part @ jnp.diagonal(against[:, 1:]))
        return jnp.stack([lower, part @ jnp.where(alone, 1, against[:, 0])])

    return Samples(scores, lax.map(one, counts))


def _embed(x, by, weights, method) -> jax.Array:
    """One RDM ``[P]`` in all samples of a block, ``[P, B]``, scaled as the comparator wants it."""
    if method in ("spearman", "rho-a"):
        values = weighted_ranks(by, weights)
    else:
        values = jnp.broadcast_to(x[:, None], weights.shape)
    return _normalised(values, weights, method)


def _normalised(values, weights, method) -> jax.Array:
    n = weights.sum(0, keepdims=True)
    if method == "rho-a":
        return (values - (n + 1) / 2) * jnp.sqrt(12 / (n**3 - n))
    if method != "cosine":
        values = values - (weights * values).sum(0, keepdims=True) / n
    return values / jnp.sqrt((weights * jnp.square(values)).sum(0, keepdims=True))

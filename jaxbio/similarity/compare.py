"""Comparison of RDMs: one number for every pair of two sets of RDM vectors.

All comparators but Kendall's tau are inner products: each RDM is turned into a vector of unit
length (or scale), its embedding, and a score is the product of two embeddings. So all models
against all subjects are one matrix product.

Reference:
    Nili et al. 2014, "A toolbox for representational similarity analysis", PLoS Comput Biol 10
    (tau-a); Schutt et al. 2023, eLife 12:e82566 (rho-a); Diedrichsen et al. 2021, "Comparing
    representational geometries using whitened unbiased-distance-matrix similarity" (whitened).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.kendall import tau
from jaxbio.similarity.ranks import ranks
from jaxbio.similarity.rdm import conditions, conditions_or_none, square, upper

COMPARATORS = (
    "pearson",
    "spearman",
    "tau-a",
    "tau-b",
    "rho-a",
    "cosine",
    "whitened-pearson",
    "whitened-cosine",
)
_TAUS = ("tau-a", "tau-b")
_RANKED = ("spearman", "tau-a", "tau-b", "rho-a")
_WHITENED = ("whitened-pearson", "whitened-cosine")
_ROUNDING = 1e-4  # of the largest value: of files, and of other people's float32


def compare(
    a: Any,
    b: Any,
    method: str = "spearman",
    *,
    sigma: Any = None,
    names: tuple[str, str] = ("a", "b"),
) -> jax.Array:
    """Compares every RDM of ``a`` with every RDM of ``b``.

    ================  ==============================================================
    pearson           Pearson's r
    spearman          Pearson's r of the ranks, ties averaged
    tau-a, tau-b      Kendall's tau without and with correction for ties
    rho-a             Spearman's rho, expected over random breaking of ties:
                      12 sum(r_a r_b) / (P^3 - P) - 3 (P + 1) / (P - 1)
    cosine            cosine of the angle, sensitive to the RDM's zero point
    whitened-cosine   a' V^-1 b / sqrt(a' V^-1 a  b' V^-1 b), V the covariance of
                      distance estimates: V_(ij,kl) = ((e_i - e_j)' S (e_k - e_l))^2
    whitened-pearson  the same after subtraction of the mean dissimilarity
    ================  ==============================================================

    "pearson", "cosine" and the whitened ones are differentiable.

    Args:
        a: RDM vectors ``[M, P]`` (or one, ``[P]``), P pairs of conditions; or squares ``[M, n, n]``
            (or one, ``[n, n]``), symmetric and 0 on the diagonal.
        b: likewise ``[N, P]`` or ``[N, n, n]``.
        method: one of the above.
        sigma: S, covariance of the pattern estimates between conditions ``[n, n]``, or its
            diagonal ``[n]``; None: identity. For the whitened comparators.
        names: what ``a`` and ``b`` are called in errors.

    Returns:
        Scores ``[M, N]``, without the axis of an argument that was one RDM.

    Raises:
        InputError: if numbers of pairs differ, values are NaN, an RDM is constant (zero for the
            cosines), a square is none of dissimilarities, or the method is unknown.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2, 20, 50))
        >>> first, second = jaxbio.similarity.rdm(x)  # [20, 20] each
        >>> same = jaxbio.similarity.upper(first)
        >>> compare(first, second).shape, round(float(compare(first, same)), 5)
        ((), 1.0)
    """
    checks.choice(method, COMPARATORS, "comparator")
    if sigma is not None and method not in _WHITENED:
        raise InputError(f"sigma belongs to the whitened comparators; this is {method}")
    a, b = (vectors(x, method, name) for x, name in zip((a, b), names, strict=True))
    checks.same_length(a.shape[-1], b.shape[-1], *names, unit="pairs of conditions")
    if sigma is not None:
        sigma = checks.floats(sigma, "sigma", (1, 2))
        n = conditions(a.shape[-1])
        if sigma.shape not in ((n,), (n, n)):
            raise InputError(f"sigma is {sigma.shape}, must be [{n}] or [{n}, {n}]")
        sigma = jnp.diag(sigma) if sigma.ndim == 1 else sigma
    rows_a, rows_b = jnp.atleast_2d(a), jnp.atleast_2d(b)
    scores = _compare(rows_a, rows_b, sigma, method)
    return checks.finite(scores, f"{method} of RDMs").reshape(a.shape[:-1] + b.shape[:-1])


def rdm_scores(
    a: Any, b: Any, method: str = "spearman", *, subsets: Any, names: tuple[str, str] = ("a", "b")
) -> jax.Array:
    """Compares RDMs with one RDM on several subsets of their conditions.

    Args:
        a: RDM ``[n, n]``, or several ``[M, n, n]``.
        b: RDM ``[n, n]``.
        method: comparator, see :func:`compare`.
        subsets: conditions of each score, ``[k, m]`` indices.
        names: what the RDMs are called in errors.

    Returns:
        Scores ``[k]``, or ``[k, M]``.

    Raises:
        InputError: if shapes differ, or as ``compare``.
    """
    checks.choice(method, COMPARATORS, "comparator")
    a, b = checks.floats(a, names[0], (2, 3)), checks.floats(b, names[1], 2)
    subsets = jnp.asarray(subsets)
    if a.shape[-2:] != b.shape or subsets.ndim != 2:
        raise InputError(
            f"RDMs are {a.shape} and {b.shape}, subsets {subsets.shape}; must be [k, m]"
        )
    for x, name in zip((a, b), names, strict=True):
        vectors(upper(x), method, name)
    scores = _compare_subsets(a.reshape(-1, *b.shape), b[None], subsets, method)
    return checks.finite(scores, f"{method} of RDMs").reshape(-1, *a.shape[:-2])


def vectors(x: Any, method: str, name: str) -> jax.Array:
    """RDM vectors ``[M, P]`` or ``[P]`` after the checks that a comparator needs.

    Args:
        x: these, or squares ``[M, n, n]`` or ``[n, n]``.
        method: the comparator.
        name: what ``x`` is called in errors.
    """
    x = _triangles(checks.floats(x, name, (1, 2, 3)), name)
    if checks.known(x):
        if x.shape[-1] < 2:
            raise InputError(f"{name} has {x.shape[-1]} pair of conditions, a comparison needs 2")
        if method in ("cosine", "whitened-cosine"):
            bad, what = (x == 0).all(-1), "zero"
        else:
            bad, what = x.max(-1) == x.min(-1), "constant"
        if bool(bad.any()):
            where = f" (RDM {int(bad.argmax())})" if bad.ndim else ""
            raise InputError(f"{name}{where} is {what}: its {method} with others is undefined")
    return x


def _triangles(x: jax.Array, name: str) -> jax.Array:
    """``x`` without what squares repeat.

    A ``[n, n]`` is a square, never n vectors of n pairs, unless there are RDMs of n pairs and it is
    not symmetric (or its values are not known yet).
    """
    n = x.shape[-1]
    if x.ndim < 2 or x.shape[-2] != n:
        if x.ndim == 3:
            raise InputError(
                f"{name} has shape {x.shape}: give squares [M, n, n] or vectors [M, P]"
            )
        return x
    may_be_vectors = x.ndim == 2 and conditions_or_none(n) is not None
    if not checks.known(x):
        return x if may_be_vectors else upper(x)
    scale = float(jnp.abs(x).max())
    if not bool(jnp.allclose(x, x.mT, rtol=0, atol=_ROUNDING * scale)):
        if may_be_vectors:
            return x
        raise InputError(
            f"{name} is {n} x {n} and not symmetric: give dissimilarities (rdm), not responses"
        )
    diagonal = jnp.diagonal(x, axis1=-2, axis2=-1)
    if not bool(jnp.allclose(diagonal, 0, atol=_ROUNDING * scale)):
        raise InputError(
            f"{name} has a diagonal that is not 0: give dissimilarities (1 - r), not similarities"
        )
    return upper(x)


def embed(x: jax.Array, method: str, sigma: jax.Array | None = None) -> jax.Array:
    """Vectors whose inner products are the comparator's scores.

    Args:
        x: RDM vectors ``[M, P]``.
        method: any comparator but the taus.
        sigma: covariance between conditions ``[n, n]``, or None.

    Returns:
        ``[M, P]``, or ``[M, n n]`` for the whitened comparators.
    """
    n = x.shape[-1]
    if method == "rho-a":
        return (ranks(x) - (n + 1) / 2) * (12 / (n**3 - n)) ** 0.5
    if method == "spearman":
        x = ranks(x)
    if method in ("pearson", "spearman", "whitened-pearson"):
        x = x - x.mean(-1, keepdims=True)
    if method in _WHITENED:
        x = _whiten(x, sigma)
    return x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))


def pool(x: jax.Array, method: str) -> jax.Array:
    """Average RDM ``[P]`` of ``[S, P]`` that fits a comparator best: after its own scaling.

    Ranks for the rank methods, z-scores for Pearson's, root mean square for the cosines.
    """
    return scaled(x, method).mean(0)


def scaled(x: jax.Array, method: str) -> jax.Array:
    """RDMs ``[S, P]`` in the units in which the comparator lets them be averaged."""
    if method in _RANKED:
        return ranks(x)
    if method in ("pearson", "whitened-pearson"):
        x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True))


@checks.compiled(static=("method",))
def _compare(a, b, sigma, method):
    if method in _TAUS:
        return tau(a, b, method)
    return embed(a, method, sigma) @ embed(b, method, sigma).T


@checks.compiled(static=("method",))
def _compare_subsets(a, b, subsets, method):
    def one(rows):
        x, y = (upper(z[:, rows][:, :, rows]) for z in (a, b))
        return _compare(x, y, None, method)[:, 0]

    return lax.map(one, subsets)


def _whiten(x: jax.Array, sigma: jax.Array | None) -> jax.Array:
    """Vectors ``[M, n n]`` whose inner products are those of ``x`` under V^-1, up to one factor.

    Distances are linear in the patterns' second moments G, whose covariance is S x S, and do not
    change with G + 1 v' + v 1'. Generalised least squares over v replaces the usual centring by
    one that is orthogonal under S; what is left is an inner product of matrices whitened by S from
    both sides. That is exact, and takes n x n matrices where V is P x P.
    """
    n = conditions(x.shape[-1])
    if sigma is None:
        sigma = jnp.eye(n, dtype=x.dtype)
    factor = jnp.linalg.cholesky(sigma)
    ones = jnp.ones((n, 1), x.dtype)
    half = jax.scipy.linalg.solve_triangular(factor, ones, lower=True)  # L^-1 1
    whiten = jax.scipy.linalg.solve_triangular(factor, jnp.eye(n, dtype=x.dtype), lower=True)
    centre = whiten - half @ (half.T @ whiten) / (half.T @ half)  # L^-1 (I - 1 1'S^-1 / 1'S^-1 1)
    return jnp.einsum("ij,mjk,lk->mil", centre, square(x), centre).reshape(len(x), n * n)

"""Representational dissimilarity matrices (RDMs).

An RDM holds the dissimilarity of the responses to every pair of conditions. It is a symmetric
matrix ``[n, n]`` with a zero diagonal, or the vector of its upper triangle ``[n (n - 1) / 2]``, row
by row: pairs (0, 1), (0, 2), ... Leading axes (layers, time steps, subjects) are mapped over.

Reference:
    Kriegeskorte, Mur & Bandettini 2008, "Representational similarity analysis", Frontiers in
    Systems Neuroscience 2. Squared distances per channel as in Schutt et al. 2023, "Statistical
    inference on representational geometries", eLife 12:e82566.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks

RDM_METHODS = ("correlation", "euclidean", "mahalanobis", "cosine", "poisson")


def rdm(
    patterns: Any,
    method: str = "correlation",
    *,
    precision: Any = None,
    remove_mean: bool = False,
    prior_rate: float = 1.0,
    prior_weight: float = 0.1,
    flatten: bool = False,
    name: str = "patterns",
) -> jax.Array:
    """Dissimilarities of all pairs of response patterns.

    ============  ====================================================================
    correlation   1 - Pearson's r over channels
    cosine        1 - cosine of the angle
    euclidean     mean over channels of the squared difference
    mahalanobis   the same after whitening with ``precision``: d' P d / channels
    poisson       mean over channels of (l_i - l_j) (log l_i - log l_j), the symmetrised
                  Kullback-Leibler divergence of Poisson rates, l = (x + w r) / (1 + w)
    ============  ====================================================================

    Differentiable with respect to the patterns.

    Args:
        patterns: responses ``[n, channels]`` of n conditions, or several such ``[k, n, channels]``
            (of subjects, layers, ...); for "poisson" counts >= 0. They may be spread over devices
            and processes; every process gets the result.
        method: one of the above.
        precision: inverse of the noise covariance, ``[channels, channels]``; for "mahalanobis".
        remove_mean: subtract from every pattern its mean over channels ("euclidean",
            "mahalanobis").
        prior_rate: r of "poisson".
        prior_weight: w of "poisson".
        flatten: take all axes after the first as channels: for a layer's maps ``[n, H, W, C]``, or
            its tokens ``[n, positions, C]``.
        name: what the patterns are called in errors, such as the layer's name.

    Returns:
        RDMs ``[n, n]`` or ``[k, n, n]``.

    Raises:
        InputError: if shapes do not fit, values are NaN, a pattern is constant over channels
            ("correlation") or zero ("cosine"), or the method is unknown.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(92, 7, 7, 64))
        >>> upper(rdm(features, "correlation", flatten=True)).shape
        (4186,)
    """
    checks.choice(method, RDM_METHODS, "RDM method")
    patterns = jnp.asarray(patterns)
    if flatten and patterns.ndim > 2:
        patterns = patterns.reshape(len(patterns), -1)
    if patterns.ndim > 3:
        raise InputError(
            f"{name} has shape {patterns.shape}: give flatten=True for one pattern [H, W, C] per "
            "image, or [k, images, channels]"
        )
    patterns = _patterns(patterns, name)
    if (precision is not None) != (method == "mahalanobis"):
        raise InputError(f"precision belongs to the RDM method mahalanobis; this is {method}")
    if precision is not None:
        precision = checks.floats(precision, "precision", 2)
        if precision.shape != (patterns.shape[-1],) * 2:
            raise InputError(
                f"precision is {precision.shape}, {name} has {patterns.shape[-1]} channels"
            )
    if checks.known(patterns):
        _refuse_degenerate(patterns, method, name)
    rdms = checks.local(_rdm(patterns, precision, method, remove_mean, prior_rate, prior_weight))
    return checks.finite(rdms, f"{name}: {method} distances")


def crossnobis(
    folds: Any,
    precision: Any = None,
    *,
    remove_mean: bool = False,
    name: str = "folds",
) -> jax.Array:
    """Crossvalidated Mahalanobis distance: unbiased, so that equal patterns average to 0.

    ``mean over folds of (train_i - train_j)' P (test_i - test_j) / channels``, where test is one
    fold and train the mean of the others. With a precision per fold, it is the mean over all pairs
    of folds with the inverse of the mean of the pair's covariances.

    Args:
        folds: patterns ``[folds, n, channels]``, each fold an independent measurement.
        precision: inverse noise covariance ``[channels, channels]`` or one per fold ``[folds,
            channels, channels]``; None: identity.
        remove_mean: subtract from every pattern its mean over channels.
        name: what the folds are called in errors.

    Returns:
        RDM ``[n, n]``; values may be negative.

    Raises:
        InputError: if shapes do not fit, values are NaN or there are fewer than two folds.

    Reference:
        Walther et al. 2016, "Reliability of dissimilarity measures for multi-voxel pattern
        analysis", NeuroImage 137.
    """
    folds = _folds(folds, name)
    channels = folds.shape[-1]
    if precision is not None:
        precision = checks.floats(precision, "precision", (2, 3))
        if precision.shape not in ((channels, channels), (len(folds), channels, channels)):
            raise InputError(
                f"precision is {precision.shape}, must be [{channels}, {channels}] or one per fold"
            )
    return checks.finite(_crossnobis(folds, precision, remove_mean), f"{name}: distances")


def crossvalidated_poisson(
    folds: Any, *, prior_rate: float = 1.0, prior_weight: float = 0.1, name: str = "folds"
) -> jax.Array:
    """Crossvalidated form of the "poisson" RDM, one per fold; average them over the first axis.

    ``(train_i - train_j) (log test_i - log test_j)`` summed over channels, divided by their number.

    Args:
        folds: counts ``[folds, n, channels]``.
        prior_rate: see :func:`rdm`.
        prior_weight: see :func:`rdm`.
        name: what the folds are called in errors.

    Returns:
        RDMs ``[folds, n, n]``.

    Raises:
        InputError: as :func:`crossnobis`, or if counts are negative.
    """
    folds = _folds(folds, name)
    if checks.known(folds):
        _refuse_degenerate(folds, "poisson", name)
    return _crossvalidated_poisson(folds, prior_rate, prior_weight)


def upper(rdms: Any) -> jax.Array:
    """The upper triangles ``[..., n (n - 1) / 2]`` of matrices ``[..., n, n]``, row by row."""
    rdms = jnp.asarray(rdms)
    if rdms.ndim < 2 or rdms.shape[-1] != rdms.shape[-2]:
        raise InputError(f"an RDM must be square, this is {rdms.shape}")
    row, column = np.triu_indices(rdms.shape[-1], 1)
    return rdms[..., row, column]


def square(vectors: Any) -> jax.Array:
    """Symmetric matrices ``[..., n, n]`` with zero diagonals: the inverse of :func:`upper`."""
    vectors = jnp.asarray(vectors)
    n = conditions(vectors.shape[-1])
    position = np.zeros((n, n), np.int32)
    row, column = np.triu_indices(n, 1)
    position[row, column] = position[column, row] = np.arange(len(row))
    off = jnp.asarray(~np.eye(n, dtype=bool)).astype(vectors.dtype)
    return vectors[..., position] * off.reshape((1,) * (vectors.ndim - 1) + (n, n))


def conditions(pairs: int) -> int:
    """The number of conditions n whose RDM has ``pairs`` = n (n - 1) / 2 entries.

    Raises:
        InputError: if there is none.
    """
    n = conditions_or_none(pairs)
    if n is None:
        raise InputError(f"an RDM vector cannot have {pairs} entries: it needs n (n - 1) / 2")
    return n


def conditions_or_none(pairs: int) -> int | None:
    """As :func:`conditions`, but None if there is none."""
    n = round((1 + (1 + 8 * pairs) ** 0.5) / 2)
    return n if n > 1 and n * (n - 1) // 2 == pairs else None


def _patterns(x: jax.Array, name: str) -> jax.Array:
    x = checks.floats(x, name, max(x.ndim, 2))
    if x.shape[-2] < 2:
        raise InputError(f"{name} has {x.shape[-2]} condition, an RDM needs at least 2")
    return x


def _folds(x: Any, name: str) -> jax.Array:
    x = checks.floats(x, name, 3)
    if x.shape[0] < 2:
        raise InputError(f"{name} has {x.shape[0]} fold, crossvalidation needs at least 2")
    return _patterns(x, name)


def _refuse_degenerate(patterns: jax.Array, method: str, name: str) -> None:
    if method == "correlation":
        bad, what = patterns.max(-1) == patterns.min(-1), "is constant over channels"
    elif method == "cosine":
        bad, what = (patterns == 0).all(-1), "is zero"
    elif method == "poisson":
        bad, what = (patterns < 0).any(-1), "has negative counts"
    else:
        return
    if bool(bad.any()):
        where = np.argwhere(np.asarray(bad))[0].tolist()
        raise InputError(f"{name}: pattern {where} {what}: its {method} dissimilarity is undefined")


@checks.compiled(static=("method", "remove_mean"))
def _rdm(x, precision, method, remove_mean, prior_rate, prior_weight):
    channels = x.shape[-1]
    if method in ("correlation", "cosine"):
        if method == "correlation":
            x = x - x.mean(-1, keepdims=True)
        x = x / jnp.sqrt(jnp.square(x).sum(-1, keepdims=True))
        return _hollow(1 - x @ x.mT)
    if method == "poisson":
        rate = _rates(x, prior_rate, prior_weight)
        return _hollow(_distances(rate @ jnp.log(rate).mT) / channels)
    # Distances do not depend on the origin: a near one keeps the cancellation small.
    x = _without_mean(x, remove_mean)
    x = x - x.mean(-2, keepdims=True)
    left = (
        x if precision is None else x @ jnp.broadcast_to(precision, x.shape[:-2] + precision.shape)
    )
    return _hollow(_distances(left @ x.mT) / channels)


@checks.compiled(static=("remove_mean",))
def _crossnobis(x, precision, remove_mean):
    n_folds, _, channels = x.shape
    x = _without_mean(x, remove_mean)
    x = x - x.mean((0, 1), keepdims=True)
    if precision is None or precision.ndim == 2:
        train = (x.sum(0, keepdims=True) - x) / (n_folds - 1)
        # The mean over folds of train P test' is the sum of one long product.
        left = train if precision is None else jnp.einsum("fic,cd->fid", train, precision)
        product = jnp.einsum("fic,fjc->ij", left, x) / n_folds
    else:
        first, second = np.triu_indices(n_folds, 1)
        covariance = jnp.linalg.inv(precision)
        pooled = jnp.linalg.inv((covariance[first] + covariance[second]) / 2)
        product = jnp.einsum("fic,fcd,fjd->ij", x[first], pooled, x[second]) / len(first)
    return _hollow(_distances(product) / channels)


@checks.compiled
def _crossvalidated_poisson(x, prior_rate, prior_weight):
    train = (x.sum(0, keepdims=True) - x) / (len(x) - 1)
    train, test = (_rates(each, prior_rate, prior_weight) for each in (train, x))
    return _hollow(_distances(train @ jnp.log(test).mT) / x.shape[-1])


def _rates(x: jax.Array, rate: Any, weight: Any) -> jax.Array:
    return (x + weight * rate) / (1 + weight)


def _without_mean(x: jax.Array, remove: bool) -> jax.Array:
    return x - x.mean(-1, keepdims=True) if remove else x


def _distances(product: jax.Array) -> jax.Array:
    """``(a_i - a_j)(b_i - b_j)`` from the products ``a_i b_j``."""
    diagonal = jnp.diagonal(product, axis1=-2, axis2=-1)
    return diagonal[..., :, None] + diagonal[..., None, :] - product - product.mT


def _hollow(x: jax.Array) -> jax.Array:
    """Exact zeros on the diagonal."""
    return jnp.where(jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=bool), x.shape), 0, x)

"""Banded ridge regression: groups of features, each with a penalty of its own.

With penalties ``alpha / gamma_g`` of group g, the model is kernel ridge regression with the kernel
``sum_g gamma_g K_g``, where ``K_g`` is the Gram matrix of the group. Candidates of the gammas are
drawn; every response takes the candidate, and the alpha, of its least crossvalidated error. All of
it works on ``n x n`` matrices: neither the groups' widths nor the number of responses, which are
taken in blocks, decide the memory.

Reference:
    Dupre la Tour, Eickenberg, Nunez-Elizalde & Gallant 2022, "Feature-space selection with banded
    ridge regression", NeuroImage 264; the search is that of himalaya's
    ``solve_multiple_kernel_ridge_random_search`` with an intercept.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.ridge import RIDGE_ALPHAS

_CONCENTRATIONS = (0.1, 1.0)  # sparse weights and even ones, in turn


class BandedRidge(NamedTuple):
    """A fitted model, in float64.

    Attributes:
        gammas: weight of each group's kernel, ``[groups, q]``; each column sums to 1 if drawn.
        alphas: penalty of each response ``[q]``.
        scores: of every candidate, at its best alpha: minus the crossvalidated mean squared error,
            ``[candidates, q]``.
        dual: weights of the stimuli, ``[n, q]``.
        mean: of the responses ``[q]``.
        kernel_means: of the groups' kernels over the stimuli ``[groups, n]``.
    """

    gammas: np.ndarray
    alphas: np.ndarray
    scores: np.ndarray
    dual: np.ndarray
    mean: np.ndarray
    kernel_means: np.ndarray


def draw_gammas(groups: int, candidates: int, seed: int = 0) -> np.ndarray:
    """Candidates of the groups' weights ``[candidates, groups]``: even ones, then random ones.

    Random ones are Dirichlet's, of concentration 0.1 and 1 in turn.

    Args:
        groups: number of groups.
        candidates: how many, 1 or more.
        seed: of the draws.

    Raises:
        InputError: no group or no candidate.
    """
    if groups < 1 or candidates < 1:
        raise InputError(f"groups={groups}, candidates={candidates}: must be 1 or more")
    rng = np.random.default_rng(seed)
    drawn = [
        rng.dirichlet([_CONCENTRATIONS[i % len(_CONCENTRATIONS)]] * groups)
        for i in range(candidates)
    ]
    return np.array([np.full(groups, 1 / groups), *drawn[1:]])


def banded_ridge(
    kernels: Any,
    responses: Any,
    gammas: Any = 100,
    *,
    alphas: Sequence[float] = RIDGE_ALPHAS,
    folds: int | Sequence[int] = 5,
    seed: int = 0,
    block: int = 4096,
    names: tuple[str, str] = ("kernels", "responses"),
) -> BandedRidge:
    """Fits banded ridge regression from the groups' Gram matrices, in float64.

    Args:
        kernels: Gram matrix of each group of features ``[groups, n, n]``, from
            :func:`jaxbio.similarity.gram` for instance, or, where a wide layer's small directions
            count, in float64 from :class:`jaxbio.similarity.Products`; centring is part of the fit.
        responses: ``[n, q]``; any number q.
        gammas: how many candidates to draw, or the candidates ``[candidates, groups]``.
        alphas: penalties to choose from, above 0.
        folds: number of folds of consecutive stimuli, or the fold of each stimulus ``[n]``.
        seed: of the draws.
        block: responses that are fitted at a time; bounds the memory.
        names: what the arrays are called in errors.

    Returns:
        The model; :func:`banded_ridge_predict` uses it.

    Raises:
        InputError: shapes do not fit, values are NaN, or an argument is out of range.

    Example:
        >>> kernels = jnp.stack([gram(layer) for layer in (v1, it)])
        >>> model = banded_ridge(kernels, voxels)
        >>> model.gammas[1].mean()  # how much of the voxels is IT's
    """
    with jax.enable_x64(True):
        kernels = checks.floats(kernels, names[0], 3).astype(float)
        y = checks.floats(responses, names[1], 2).astype(float)
        groups, n, columns = kernels.shape
        if n != columns:
            raise InputError(f"{names[0]} are {kernels.shape}, must be [groups, n, n]")
        checks.same_length(n, len(y), *names)
        if block < 1:
            raise InputError(f"block={block}, must be 1 or more")
        if isinstance(gammas, int):
            gammas = draw_gammas(groups, gammas, seed)
        gammas = jnp.asarray(gammas, y.dtype)
        if gammas.ndim != 2 or gammas.shape[1] != groups or not (gammas >= 0).all():
            raise InputError(
                f"gammas are {gammas.shape}, must be [candidates, {groups}], 0 or more"
            )
        penalties = jnp.asarray(alphas, y.dtype)
        if penalties.ndim != 1 or not len(penalties) or not (penalties > 0).all():
            raise InputError(f"alphas={tuple(alphas)}: must be one or more numbers above 0")
        inside = jnp.asarray(_training_of(folds, n), y.dtype)
        parts = [
            _fit(kernels, y[:, start : start + block], gammas, penalties, inside)
            for start in range(0, y.shape[1], block)
        ]
        chosen, found_alphas, scores, dual = (
            jnp.concatenate(part, axis=-1) for part in zip(*parts, strict=True)
        )
        model = (gammas[chosen].T, found_alphas, scores, dual, y.mean(0), kernels.mean(1))
        return BandedRidge(*map(np.asarray, model))


def banded_ridge_predict(model: BandedRidge, kernels: Any) -> np.ndarray:
    """Predictions for other stimuli.

    Args:
        model: from :func:`banded_ridge`.
        kernels: inner products of other stimuli with those of the fit, in each group, ``[groups, m,
            n]``; of features as they were for the fit.

    Returns:
        ``[m, q]``.

    Raises:
        InputError: shapes do not fit.
    """
    with jax.enable_x64(True):
        kernels = checks.floats(kernels, "kernels", 3)
        if (kernels.shape[0], kernels.shape[2]) != model.kernel_means.shape:
            raise InputError(
                f"kernels are {kernels.shape}, must be [{len(model.gammas)}, m, {len(model.dual)}]"
            )
        return np.asarray(_predict(model, kernels.astype(float)))


def _training_of(folds: int | Sequence[int], n: int) -> np.ndarray:
    """Which stimuli each fold trains on, 0 or 1, ``[folds, n]``."""
    if isinstance(folds, int):
        if not 2 <= folds <= n:
            raise InputError(f"folds={folds}, must be 2 to {n}, the number of stimuli")
        parts = np.array_split(np.arange(n), folds)
        of = np.repeat(np.arange(folds), [len(part) for part in parts])
    else:
        of = np.asarray(folds)
        if of.shape != (n,) or len(np.unique(of)) < 2:
            raise InputError(f"folds has shape {of.shape}, must be [{n}], of two folds or more")
    return np.stack([of != fold for fold in np.unique(of)]).astype(float)


@checks.compiled
def _fit(kernels, y, gammas, alphas, inside):
    """Chosen candidates ``[q]``, alphas ``[q]``, scores ``[S, q]`` and dual weights ``[n, q]``."""
    n, q = y.shape

    def errors(kernel, train):
        """Mean squared error of the stimuli that are left out, ``[A, q]``."""
        k, mean = _centred(kernel, train), train @ y / train.sum()
        values, vectors, turned = _decomposed(k, y - mean[None], train)
        across = k @ vectors
        test = (1 - train)[:, None]

        def of(alpha):
            predicted = across @ (turned / (values + alpha)[:, None])
            return (test * jnp.square(y - mean[None] - predicted)).sum(0) / test.sum()

        return lax.map(of, alphas)

    def candidate(best, gamma):
        kernel = jnp.tensordot(gamma, kernels, 1)
        scores = -lax.map(lambda train: errors(kernel, train), inside).mean(0)
        found = scores.max(0)
        better = found > best["score"] + jnp.finfo(y.dtype).eps
        alpha = jnp.where(better, alphas[scores.argmax(0)], best["alpha"])
        whole = jnp.ones(n, y.dtype)
        centred = _centred(kernel, whole)
        values, vectors, turned = _decomposed(centred, y - y.mean(0)[None], whole)
        dual = vectors @ (turned / (values[:, None] + alpha[None]))
        new = {
            "score": jnp.where(better, found, best["score"]),
            "alpha": alpha,
            "candidate": jnp.where(better, best["number"], best["candidate"]),
            "dual": jnp.where(better[None], dual, best["dual"]),
            "number": best["number"] + 1,
        }
        return new, found

    best = {
        "score": jnp.full(q, -jnp.inf, y.dtype),
        "alpha": jnp.ones(q, y.dtype),
        "candidate": jnp.zeros(q, int),
        "dual": jnp.zeros((n, q), y.dtype),
        "number": jnp.zeros((), int),
    }
    best, scores = lax.scan(candidate, best, gammas)
    return best["candidate"], best["alpha"], scores, best["dual"]


def _centred(kernel: jax.Array, train: jax.Array) -> jax.Array:
    """A kernel of features from which the mean of the training stimuli was taken."""
    share = train / train.sum()
    mean = share @ kernel
    return kernel - mean[None] - mean[:, None] + share @ mean


def _decomposed(k, y, train):
    """Eigenvalues and -vectors of the training part, zero elsewhere, and ``y`` along these."""
    values, vectors = jnp.linalg.eigh(k * train[None] * train[:, None])
    vectors = vectors * train[:, None]
    return jnp.maximum(values, 0), vectors, vectors.T @ y


@checks.compiled
def _predict(model, kernels):
    # As centred in the fit, from the kernels' means there.
    rows = kernels.mean(2)[:, :, None]
    centred = kernels - model.kernel_means[:, None] - rows
    centred = centred + model.kernel_means.mean(1)[:, None, None]
    each = jax.vmap(lambda k, gamma: (k @ model.dual) * gamma[None])(centred, model.gammas)
    return model.mean[None] + each.sum(0)

"""Representational similarity analysis in one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.compare import COMPARATORS, vectors
from jaxbio.similarity.inference import evaluate_bootstrap
from jaxbio.similarity.rdm import rdm, upper


@dataclass(frozen=True)
class RsaScore:
    """How alike a representation and recorded RDMs are.

    Attributes:
        score: mean over the recorded RDMs.
        low: lower end of the confidence interval.
        high: upper end.
        ceiling: lower and upper noise ceiling.
        p: one-sided probability of a score so high if the true one were 0.
    """

    score: float
    low: float
    high: float
    ceiling: tuple[float, float]
    p: float

    def __str__(self) -> str:
        lower, upper = self.ceiling
        return (
            f"{self.score:.3f} [{self.low:.3f}, {self.high:.3f}], "
            f"ceiling {lower:.3f} to {upper:.3f}, p = {self.p:.2g}"
        )


def rsa(
    features: Any,
    rdms: Any,
    *,
    method: str = "spearman",
    dissimilarity: str = "correlation",
    over: str = "dual",
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Any:
    """Compares features with the RDMs of several subjects.

    Args:
        features: ``[n, ...]`` for n images, or a dict of such arrays by layer, as
            :meth:`jaxbio.api.run.Run.features` gives; the further axes of an image, time steps
            included, are taken as one pattern.
        rdms: one RDM per subject (or session) of the same images in the same order: squares
            ``[S, n, n]``, or upper triangles row by row ``[S, n (n - 1) / 2]``. S is 2 or more.
        method: comparator, see :func:`jaxbio.similarity.compare`.
        dissimilarity: of two patterns, see :func:`jaxbio.similarity.rdm`.
        over: what the bootstrap resamples, so what the interval generalises to: ``"dual"``
            (subjects and images), ``"subjects"``, ``"conditions"`` or ``"both"``.
        n_bootstrap: number of samples.
        confidence: of the interval, in (0, 1).
        seed: of the samples.

    Returns:
        An :class:`RsaScore`; a dict of them by layer where ``features`` is a dict.

    Raises:
        InputError: shapes that do not fit, RDMs that are not symmetric or of one subject only,
            features that do not vary, or an unknown name.

    Example:
        >>> patterns = np.random.default_rng(0).normal(size=(12, 30))
        >>> noise = np.random.default_rng(1).normal(size=(4, 12, 30))
        >>> subjects = jaxbio.similarity.rdm(patterns + noise / 2)
        >>> found = jaxbio.rsa(patterns, subjects, over="subjects", n_bootstrap=200)
        >>> found.low < found.score < found.high, found.p < 0.05
        (True, True)
        >>> print(found)  # score [interval], ceiling, p
        0.7... [0.7..., 0.8...], ceiling 0.7... to 0.8..., p = ...
    """
    checks.choice(method, COMPARATORS, "comparator")
    layers = dict(features) if isinstance(features, Mapping) else {"features": features}
    if not layers:
        raise InputError("features is empty: give at least one layer")
    models = [_pattern_rdm(values, dissimilarity, name) for name, values in layers.items()]
    counts = {len(np.asarray(values)) for values in layers.values()}
    if len(counts) > 1:
        raise InputError(f"the layers have {sorted(counts)} images: give the same images to all")
    found = evaluate_bootstrap(
        np.stack(models),
        _vectors(rdms, counts.pop(), method),
        jax.random.key(seed),
        method,
        over=over,
        n_bootstrap=n_bootstrap,
        confidence=confidence,
    )
    ceiling = float(found.ceiling.lower), float(found.ceiling.upper)
    columns = (found.score, found.low, found.high, found.p_zero)
    scores = {
        name: RsaScore(float(score), float(low), float(high), ceiling, float(p))
        for name, score, low, high, p in zip(layers, *columns, strict=True)
    }
    return scores if isinstance(features, Mapping) else scores["features"]


def _pattern_rdm(values: Any, dissimilarity: str, name: str) -> np.ndarray:
    patterns = np.asarray(values)
    if patterns.ndim < 2 or len(patterns) < 4:
        raise InputError(f"{name} has shape {patterns.shape}: give [images, ...], 4 images or more")
    return np.asarray(upper(rdm(patterns, dissimilarity, flatten=True, name=name)))


def _vectors(rdms: Any, n: int, method: str) -> np.ndarray:
    """Upper triangles ``[S, n (n - 1) / 2]``."""
    given, pairs = np.atleast_2d(np.asarray(vectors(rdms, method, "rdms"))), n * (n - 1) // 2
    if given.shape[1] != pairs:
        raise InputError(
            f"rdms has shape {np.shape(rdms)}, the features have {n} images: give "
            f"[subjects, {n}, {n}] or [subjects, {pairs}]"
        )
    if len(given) < 2:
        raise InputError(
            "rdms has 1 subject, an interval needs 2 or more: for the score alone use "
            "jaxbio.similarity.compare"
        )
    return given

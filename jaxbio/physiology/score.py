"""How alike two distributions over neurons are, and how alike they could be.

Reference:
    Marques, Schrimpf and DiCarlo 2021, doi:10.1101/2021.03.01.433495.
"""

from typing import NamedTuple

import numpy as np

from jaxbio.errors import InputError
from jaxbio.physiology.distributions import Distribution, histogram

_TOO_MANY_UNDEFINED = 0.1  # of the samples


class Score(NamedTuple):
    """A model's similarity to a measured distribution.

    Attributes:
        raw: mean similarity over samples, 0..1.
        error: its standard deviation over samples.
        ceiling: the data's similarity to itself by the same procedure.
        score: ``raw / ceiling``, as reported.
        p: one-sided: how often a sample of the data itself is no more similar to it than the
            model's mean, with the add-one rule; small where the model is told apart.
        undefined: model units without a value.
    """

    raw: float
    error: float
    ceiling: float
    score: float
    p: float
    undefined: int


def ks_similarity(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kolmogorov-Smirnov distance, scaled by the largest that is possible, taken from 1.

    ``1 - max|P - Q| / max(max|Z1 - Q|, max|Z2 - Q|)``: P and Q are cumulated, Z1 and Z2 have all
    mass in the first and in the last bin.

    Args:
        p: histograms that each sum to 1, ``[..., B]``.
        q: the one to compare with, likewise.

    Returns:
        ``[...]``, 0..1; NaN where p is NaN.
    """
    cumulated = np.cumsum(q, -1)
    first, last = np.ones_like(cumulated), np.zeros_like(cumulated)
    last[..., -1] = 1
    largest = np.maximum(np.abs(first - cumulated).max(-1), np.abs(last - cumulated).max(-1))
    return 1 - np.abs(np.cumsum(p, -1) - cumulated).max(-1) / largest


def score(
    values: np.ndarray, measured: Distribution, *, samples: int = 1000, seed: int = 0
) -> Score:
    """Compares a property of a model's units with its measured distribution.

    As many units as were measured are drawn with replacement, ``samples`` times, and their
    histogram is compared with the measured one.

    Args:
        values: ``[N]``, of the units that the study would have recorded; NaN: undefined.
        measured: the neurons'.
        samples: of the bootstrap, 1 or more.
        seed: of the bootstrap.

    Returns:
        The score; 0 where more than a tenth of the samples have no defined value at all.

    Raises:
        InputError: there are no values, too few of the neurons have one, or no samples are asked
            for.
    """
    if not len(values):
        raise InputError("no unit was recorded: there is nothing to score")
    if samples < 1:
        raise InputError(f"samples={samples}, must be 1 or more")
    counts, undefined = histogram(np.asarray(values, np.float64), measured.edges)
    rng = np.random.default_rng(seed)
    itself = _resampled(rng, measured.counts, measured.undefined, measured, samples)
    model = _resampled(rng, counts, undefined, measured, samples)
    ceiling, _ = _summary(itself)
    if not ceiling:
        known = f"{measured.counts.sum()} of {measured.neurons} neurons have a value"
        raise InputError(
            f"{measured.source}: {known}, too few for a ceiling: give more, or leave it out"
        )
    raw, error = _summary(model)
    p = (1 + np.count_nonzero(itself <= raw)) / (1 + samples)
    return Score(raw, error, ceiling, raw / ceiling, float(p), undefined)


def _resampled(
    rng: np.random.Generator,
    counts: np.ndarray,
    undefined: int,
    measured: Distribution,
    samples: int,
) -> np.ndarray:
    """Similarities ``[samples]`` of as many neurons as were measured, drawn with replacement."""
    bins = np.append(counts, undefined)
    drawn = rng.multinomial(measured.neurons, bins / bins.sum(), samples)[:, :-1]
    with np.errstate(invalid="ignore"):
        shares = drawn / drawn.sum(1, keepdims=True)
    return ks_similarity(shares, (measured.counts / measured.counts.sum()).reshape(1, -1))


def _summary(similarities: np.ndarray) -> tuple[float, float]:
    defined = similarities[~np.isnan(similarities)]
    if len(similarities) - len(defined) > _TOO_MANY_UNDEFINED * len(similarities):
        return 0.0, 0.0
    return float(defined.mean()), float(defined.std())

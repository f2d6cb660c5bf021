"""How sure the scores of observers are: bootstrap samples of the images that they saw."""

import numpy as np

_SAMPLES = 1000


def resample(correct: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Scores of a network beside people in bootstrap samples of a condition's images.

    All observers keep their answers to an image together, so that what they agree on is resampled,
    too. The people themselves are not: intervals are of other images, not of other people.

    Args:
        correct: whether each answer was right, ``[1 + people, images]`` bool, the network first.
        seed: of the samples.

    Returns:
        By the names of :func:`jaxbio.behaviour.benchmark`'s scores ``[samples]`` each;
        ``human_error_consistency`` with two people or more.

    Reference:
        Efron & Tibshirani 1993, "An introduction to the bootstrap".
    """
    n = correct.shape[1]
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), _SAMPLES) / n
    right = correct.astype(float)
    shares = draws @ right.T  # [samples, observers]

    def against(one: int, others: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Squared differences, observed consistency and kappa ``[samples, others]``."""
        p, q = shares[:, one, None], shares[:, others]
        same = draws @ (right[one] == right[others]).T
        expected = p * q + (1 - p) * (1 - q)
        with np.errstate(invalid="ignore", divide="ignore"):
            kappa = np.where(np.isclose(same, 1), 1.0, (same - expected) / (1 - expected))
        return np.square(p - q), same, kappa

    difference, same, kappa = (x.mean(1) for x in against(0, slice(1, None)))
    found = {
        "accuracy": shares[:, 0],
        "human_accuracy": shares[:, 1:].mean(1),
        "accuracy_difference": difference,
        "observed_consistency": same,
        "error_consistency": kappa,
    }
    if len(correct) > 2:
        pairs = [against(i, slice(i + 1, None))[2] for i in range(1, len(correct) - 1)]
        found["human_error_consistency"] = np.concatenate(pairs, 1).mean(1)
    return found


def interval(scores: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of bootstrap samples."""
    low, high = np.percentile(scores, (2.5, 97.5))
    return float(low), float(high)

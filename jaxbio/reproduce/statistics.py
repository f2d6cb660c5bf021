"""Means over seeds with their intervals."""

from typing import Any

import numpy as np
from scipy import stats

from jaxbio.reproduce.table import Measured


def mean_of(
    values: np.ndarray, error_of_one: float, note: str = "", more: dict[str, Any] | None = None
) -> Measured:
    """The mean with the standard deviation over seeds and Student's 95 % interval of the mean.

    Args:
        values: one per seed.
        error_of_one: standard error of a single seed's value, which stands where there is one.
        note: for the reader.
        more: further entries.
    """
    mean = float(np.mean(values))
    if len(values) == 1:
        half, spread = 1.96 * error_of_one, error_of_one
        note = "; ".join(filter(None, (note, "one seed: the error is that of its test")))
    else:
        spread = float(np.std(values, ddof=1))
        half = float(stats.t.ppf(0.975, len(values) - 1)) * spread / len(values) ** 0.5
    return Measured(mean, spread, (mean - half, mean + half), note, more=more or {})

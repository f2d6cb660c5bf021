"""Two classifiers on the same pictures: does one know more than the other?"""

from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest

from jaxbio.runs.progress import format_table

_RESAMPLES = 10_000


class Comparison(NamedTuple):
    """Of classifiers A and B.

    Attributes:
        first: share of pictures that A has right.
        second: likewise of B.
        low: lower end of the 95 % interval of ``second - first``.
        high: its upper end.
        only_first: pictures that A alone has right.
        only_second: likewise of B.
        p: McNemar's: how likely these two numbers, or less equal ones, are by chance.
        count: pictures.
    """

    first: float
    second: float
    low: float
    high: float
    only_first: int
    only_second: int
    p: float
    count: int  # type: ignore[assignment]


def compare_answers(first: np.ndarray, second: np.ndarray, seed: int = 0) -> Comparison:
    """Compares by the exact McNemar test, and by a bootstrap over pictures (percentiles).

    Args:
        first: bool ``[N]``, whether A has each picture right.
        second: likewise of B, the same pictures in the same order.
        seed: of the resamples.

    Reference:
        McNemar 1947, "Note on the sampling error of the difference between correlated proportions
        or percentages", Psychometrika 12.
    """
    count = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    # A resample of pictures is a draw of how often each of the three outcomes occurs.
    shares = np.array([only_first, only_second, count - only_first - only_second]) / count
    drawn = np.random.default_rng(seed).multinomial(count, shares, size=_RESAMPLES)
    low, high = np.percentile((drawn[:, 1] - drawn[:, 0]) / count, [2.5, 97.5])
    discordant = only_first + only_second
    p = binomtest(only_first, discordant, 0.5).pvalue if discordant else 1.0
    return Comparison(
        float(first.mean()), float(second.mean()), float(low), float(high),
        only_first, only_second, float(p), count,
    )  # fmt: skip


def compare_table(found: Comparison) -> str:
    """The comparison as a table."""
    difference = 100 * (found.second - found.first)
    interval = f"[{100 * found.low:+.2f}, {100 * found.high:+.2f}]"
    rows = [
        ("test pictures", str(found.count)),
        ("A, top-1", f"{100 * found.first:.2f} %"),
        ("B, top-1", f"{100 * found.second:.2f} %"),
        ("B - A", f"{difference:+.2f} points, 95 % {interval} (bootstrap over pictures)"),
        ("only A right", str(found.only_first)),
        ("only B right", str(found.only_second)),
        ("McNemar, exact", f"p = {found.p:.3g}"),
    ]
    return format_table(rows)

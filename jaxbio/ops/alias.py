"""Walker's alias method: a discrete random number by one look-up in a table."""

import numpy as np


def alias_columns(law: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns of equal weight, each of a value's share and of its alias's for the rest.

    Args:
        law: probabilities of n values ``[n]``, which sum to 1.

    Returns:
        What each column keeps ``[n]``, in [0, 1], and its alias, int ``[n]``.

    Reference:
        Walker 1977, "An Efficient Method for Generating Discrete Random Variables with General
        Distributions", doi:10.1145/355744.355749.
    """
    share, alias = law * len(law), np.arange(len(law))
    small = [int(i) for i in np.flatnonzero(share < 1)]
    large = [int(i) for i in np.flatnonzero(share >= 1)]
    while small and large:
        poor, rich = small.pop(), large[-1]
        alias[poor] = rich
        share[rich] -= 1 - share[poor]
        if share[rich] < 1:
            small.append(large.pop())
    # Left over are columns that rounding keeps from being exactly full: their own alias.
    share[small + large] = 1.0
    return share, alias

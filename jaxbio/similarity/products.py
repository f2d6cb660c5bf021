"""Inner products of a layer that is too wide to keep: all that linear measures need to know of it.

RDMs of Pearson's r, CKA, ridge regression and PLS see the features ``X`` of n stimuli only through
``X X'`` and the sums of its rows. Both are sums over units, so blocks of units come one after
another and are forgotten. They are summed in float64 without centring, which loses nothing of
float32 features; what is centred afterwards may have been small beside the mean.

Reference:
    Rannar et al. 1994, "A PLS kernel algorithm for data sets with many variables and fewer
    objects", J. Chemometrics 8; dual ridge regression: Saunders et al. 1998, ICML.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError

_STRIPS = 4  # of the product's rows
_ROUNDING = 1e-13  # of sums in float64, relative to the largest: a variance below it is none


@dataclass(frozen=True)
class Products:
    """A layer's inner products.

    Attributes:
        inner: of the patterns of all pairs of stimuli, not centred, ``[n, n]`` float64.
        sums: of each pattern over units ``[n]`` float64.
        units: how many there are.
    """

    inner: np.ndarray
    sums: np.ndarray
    units: int

    @property
    def shape(self) -> tuple[int, int]:
        """Of the features: stimuli, units."""
        return len(self.sums), self.units

    def gram(self, name: str = "features") -> np.ndarray:
        """As :func:`jaxbio.similarity.gram`, in float64.

        Args:
            name: the layer's, for errors.

        Raises:
            InputError: the layer is constant over all stimuli.
        """
        mean = self.inner.mean(0)
        centred = self.inner - mean[None] - mean[:, None] + mean.mean()
        if centred.diagonal().max() <= _ROUNDING * self.inner.diagonal().max():
            raise InputError(f"{name} is constant over all stimuli: no score is defined")
        return centred

    def rdm(self, conditions: np.ndarray | None = None, name: str = "features") -> np.ndarray:
        """1 - Pearson's r over units, as :func:`jaxbio.similarity.rdm`, in float64.

        Args:
            conditions: of each stimulus, 0 .. k - 1, whose mean patterns are compared ``[n]``;
                None: the stimuli themselves.
            name: the layer's, for errors.

        Returns:
            ``[k, k]``.

        Raises:
            InputError: a pattern is constant over units.
        """
        inner, sums = self.inner, self.sums
        if conditions is not None:
            mean = np.equal.outer(np.arange(conditions.max() + 1), conditions).astype(float)
            mean /= mean.sum(1, keepdims=True)
            inner, sums = mean @ inner @ mean.T, mean @ sums
        covariance = inner - np.outer(sums, sums) / self.units
        variance = covariance.diagonal()
        constant = np.flatnonzero(variance <= _ROUNDING * inner.diagonal())
        if len(constant):
            raise InputError(
                f"{name}: pattern {constant[0]} is constant over channels: its correlation "
                "dissimilarity is undefined"
            )
        found = 1 - covariance / np.sqrt(np.outer(variance, variance))
        np.fill_diagonal(found, 0)
        return found


def products(blocks: Iterable[Any]) -> Products:
    """Sums the products of a layer's units, block by block.

    Args:
        blocks: features of some units each, ``[n, units]``; of one width, but for the last, they
            share a program. In numbers of float32 they are taken for exact.

    Returns:
        The products; the layer was never there as a whole.

    Raises:
        InputError: there is no block, or values are NaN or infinite.

    Example:
        >>> wide = np.random.default_rng(0).normal(size=(6, 1000)).astype(np.float32)
        >>> found = products(wide[:, i : i + 256] for i in range(0, 1000, 256))
        >>> bool(np.allclose(found.gram(), gram(wide), rtol=1e-4))
        True
    """
    inner: np.ndarray | None = None
    sums, units = np.zeros(()), 0
    for block in blocks:
        with jax.enable_x64(True):
            product, total = (np.asarray(part) for part in _of_block(np.asarray(block)))
        inner = product.copy() if inner is None else np.add(inner, product, out=inner)
        sums, units = sums + total, units + block.shape[1]
    if inner is None:
        raise InputError("no units: give at least one block of features [n, units]")
    if not np.isfinite(inner).all():
        raise InputError("the features have NaN or infinite values: drop them beforehand")
    upper = np.triu(inner)
    return Products(upper + np.triu(inner, 1).T, sums, units)


@jax.jit
def _of_block(x):
    """Products in strips that leave out most of the lower triangle; sums."""
    x = x.astype(jnp.float64)
    n = len(x)
    bounds = [n * i // _STRIPS for i in range(_STRIPS + 1)]
    strips = [
        jnp.pad(jnp.matmul(x[start:end], x[start:].T, precision="highest"), ((0, 0), (start, 0)))
        for start, end in itertools.pairwise(bounds)
    ]
    return jnp.concatenate(strips), x.sum(1)

"""Very sparse random projections: distances are kept, with far fewer numbers."""

import math
import zlib
from typing import NamedTuple

import jax
import jax.numpy as jnp

# Units that are gathered at a time: bounds the memory of one projection.
_GATHERED = 2**16


class Projection(NamedTuple):
    """A random matrix of few entries, +scale or -scale.

    Attributes:
        index: int32 ``[N, k]``, the k units that each component adds up.
        sign: float32 ``[N, k]``, -1 or 1.
    """

    index: jax.Array  # type: ignore[assignment]
    sign: jax.Array


def make_projection(name: str, units: int, components: int, seed: int) -> Projection:
    """Draws the projection of one layer.

    Li's very sparse projection: a share 1 / sqrt(D) of the entries is not zero. Here every
    component has exactly k = ceil(sqrt(D)) of them, at places drawn with replacement.

    Args:
        name: the layer's; every layer gets a matrix of its own.
        units: D, of one image at one step.
        components: N.
        seed: of all matrices. Together with name, D and N it decides every entry.

    Reference:
        Achlioptas 2003, "Database-friendly random projections"; Li, Hastie and Church 2006, "Very
        sparse random projections".
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(name.encode()))
    of_index, of_sign = jax.random.split(key)
    shape = (components, math.ceil(math.sqrt(units)))
    index = jax.random.randint(of_index, shape, 0, units, jnp.int32)
    return Projection(index, jax.random.rademacher(of_sign, shape, jnp.float32))


def project(projection: Projection, features: jax.Array) -> jax.Array:
    """Applies a projection to the last axis.

    ``y_n = sqrt(D / (k N)) * sum_i sign_ni x_index_ni``, so that the expected squared length of y
    is that of x.

    Args:
        projection: from :func:`make_projection`.
        features: ``[..., D]``.

    Returns:
        ``[..., N]``.
    """
    leading, units = features.shape[:-1], features.shape[-1]
    components, k = projection.index.shape
    columns = jnp.asarray(features).reshape(-1, units).T  # rows of this are gathered whole

    def component(entries: Projection) -> jax.Array:
        return entries.sign @ columns[entries.index]

    at_once = max(1, _GATHERED // k)
    sums = jax.lax.map(component, projection, batch_size=min(at_once, components))
    return (sums * math.sqrt(units / (k * components))).T.reshape(*leading, components)

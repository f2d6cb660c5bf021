"""Noise covariance of channels, from residuals, with shrinkage.

Reference:
    Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices";
    Schafer & Strimmer 2005, "A shrinkage approach to large-scale covariance matrix estimation".
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.similarity import checks

COVARIANCES = ("shrinkage-diagonal", "shrinkage-identity", "diagonal", "full")


def residuals(measurements: Any, labels: Any) -> jax.Array:
    """Measurements minus the mean of their condition.

    Args:
        measurements: responses ``[n, channels]``.
        labels: condition of each, ``[n]``.

    Returns:
        Residuals ``[n, channels]``; they have n - (number of conditions) degrees of freedom.

    Raises:
        InputError: if shapes do not fit or values are NaN.
    """
    x = checks.floats(measurements, "measurements", 2)
    index, number = checks.whole_labels(labels, len(x), "labels")
    one_hot = jax.nn.one_hot(index, number, dtype=x.dtype)
    return _subtract_means(x, one_hot)


def noise_covariance(
    residuals: Any, method: str = "shrinkage-diagonal", *, dof: int | None = None
) -> jax.Array:
    """Covariance of the channels' noise.

    Args:
        residuals: ``[n, channels]``; their mean is subtracted.
        method: "full" is the sample covariance; "diagonal" its diagonal; "shrinkage-identity"
            shrinks it to a multiple of the identity (Ledoit-Wolf), "shrinkage-diagonal" to its
            diagonal (Schafer-Strimmer).
        dof: degrees of freedom of the residuals; None: n - 1.

    Returns:
        Covariance ``[channels, channels]``.

    Raises:
        InputError: if shapes do not fit, values are NaN, or the method is unknown.
    """
    checks.choice(method, COVARIANCES, "covariance method")
    x = checks.floats(residuals, "residuals", 2)
    dof = len(x) - 1 if dof is None else dof
    if dof < 1:
        raise InputError(f"dof={dof}, a covariance needs at least 1")
    return _covariance(x, jnp.asarray(dof, x.dtype), method)


def noise_precision(
    residuals: Any, method: str = "shrinkage-diagonal", *, dof: int | None = None
) -> jax.Array:
    """Inverse of :func:`noise_covariance`, for Mahalanobis and crossnobis distances."""
    return jnp.linalg.inv(noise_covariance(residuals, method, dof=dof))


@checks.compiled
def _subtract_means(x, one_hot):
    means = (one_hot.T @ x) / one_hot.sum(0)[:, None]
    return x - one_hot @ means


@checks.compiled(static=("method",))
def _covariance(x, dof, method):
    n = len(x)
    x = x - x.mean(0, keepdims=True)
    products = x.T @ x
    full = products / dof
    if method == "full":
        return full
    variances = jnp.diagonal(full)
    if method == "diagonal":
        return jnp.diag(variances)
    # Sum over samples of (x_i x_j - their mean)^2: the spread of each entry's estimate.
    spread = jnp.square(x).T @ jnp.square(x) - jnp.square(products) / n
    off = 1 - jnp.eye(len(full), dtype=x.dtype)
    if method == "shrinkage-identity":
        sample = products / n
        scale = jnp.trace(sample) / len(full)
        distance = jnp.square(sample - scale * jnp.eye(len(full), dtype=x.dtype)).sum()
        share = jnp.minimum(spread.sum() / n**2, distance) / distance
        target = scale * jnp.eye(len(full), dtype=x.dtype)
        return ((1 - share) * sample + share * target) * (n / dof)
    # Of correlations: only the numerator's scale depends on the degrees of freedom.
    z = x / jnp.sqrt(variances)[None]
    products = z.T @ z
    spread = jnp.square(z).T @ jnp.square(z) - jnp.square(products) / (n - 1)
    share = (spread * off).sum() / (jnp.square(products) * off).sum() * (n * (n - 1) / dof**2)
    share = jnp.clip(share, 0, 1)
    return full * (1 - share * off)

"""Spikes that backpropagation can pass: a step forwards, a smooth derivative backwards.

Each function makes ``spike(distance) -> 0.0 or 1.0`` with ``distance`` = potential - threshold, the
last argument of :func:`jaxbio.ops.lif.step`. The derivative that replaces the step's is 1 at the
threshold and falls off on both sides over a distance of about ``1 / slope``.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxbio.errors import InputError
from jaxbio.ops.lif import at_threshold

Spike = Callable[[jax.Array], jax.Array]


def fast_sigmoid(slope: float = 10.0) -> Spike:
    """Derivative ``1 / (1 + slope |x|)^2``.

    Args:
        slope: inverse width, per unit of the potential, > 0.

    Reference:
        Zenke and Ganguli 2018, "SuperSpike: Supervised Learning in Multilayer Spiking Neural
        Networks", doi:10.1162/neco_a_01086.
    """
    return _spike(lambda x: 1.0 / (1.0 + slope * jnp.abs(x)) ** 2, slope)


def arctan(slope: float = 2.0) -> Spike:
    """Derivative ``1 / (1 + (pi slope x / 2)^2)``.

    Args:
        slope: inverse width, per unit of the potential, > 0.

    Reference:
        Fang et al. 2021, "Incorporating Learnable Membrane Time Constant to Enhance Learning of
        Spiking Neural Networks", arXiv:2007.05785.
    """
    return _spike(lambda x: 1.0 / (1.0 + (0.5 * math.pi * slope * x) ** 2), slope)


def straight_through(slope: float = 1.0) -> Spike:
    """Derivative 1 within ``|x| <= 1 / slope``, 0 beyond.

    Args:
        slope: inverse half-width, per unit of the potential, > 0.

    Reference:
        Hubara et al. 2016, "Binarized Neural Networks", arXiv:1602.02830, equation 4.
    """
    return _spike(lambda x: (slope * jnp.abs(x) <= 1.0).astype(x.dtype), slope)


_SURROGATES = {
    "fast_sigmoid": fast_sigmoid,
    "arctan": arctan,
    "straight_through": straight_through,
}


def make_surrogate(name: str, slope: float | None = None) -> Spike:
    """A surrogate spike by name.

    Args:
        name: ``"fast_sigmoid"``, ``"arctan"`` or ``"straight_through"``.
        slope: None takes the function's own default.

    Raises:
        InputError: an unknown name, or a slope that is not positive.
    """
    if name not in _SURROGATES:
        raise InputError(f"unknown surrogate '{name}': use {', '.join(_SURROGATES)}")
    return _SURROGATES[name]() if slope is None else _SURROGATES[name](slope)


def _spike(derivative: Callable[[jax.Array], jax.Array], slope: float) -> Spike:
    if slope <= 0:
        raise InputError(f"slope={slope} of a surrogate derivative: must be positive")
    spike = jax.custom_jvp(at_threshold)
    spike.defjvp(lambda primals, tangents: (spike(*primals), derivative(*primals) * tangents[0]))
    return spike

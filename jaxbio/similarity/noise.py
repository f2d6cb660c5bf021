"""Noise like that of the recordings, for the features of noiseless models.

A model answers the same image always alike, neurons do not. Before a model's features are compared
with recordings by a measure that noise lowers, they are scaled to the recordings' signal variance,
and noise is added whose standard deviation grows with the response as it does in the recordings:
``(a x + b) z / sqrt(T)`` with standard normal z and T repetitions averaged.

Reference:
    Cadieu et al. 2014, "Deep neural networks rival the representation of primate IT cortex for core
    visual object recognition", PLoS Comput Biol 10.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.similarity import checks


@dataclasses.dataclass(frozen=True)
class NeuralNoise:
    """Noise of recordings as a function of the response; the defaults are Cadieu's IT multi-units.

    Attributes:
        slope: a, growth of the standard deviation with the response.
        offset: b, standard deviation at response 0.
        repetitions: T, how many presentations the recordings average over.

    Raises:
        InputError: if there is less than one repetition.
    """

    slope: float = 0.14
    offset: float = 0.92
    repetitions: float = 47.0

    def __post_init__(self) -> None:
        if not self.repetitions >= 1:
            raise InputError(f"repetitions={self.repetitions}, must be at least 1")


CADIEU_IT = NeuralNoise()

_FEWEST_PRESENTATIONS = 2  # from which a standard deviation can be estimated


def match_noise(
    model: Any,
    neural: Any,
    noise: Any,
    parameters: NeuralNoise = CADIEU_IT,
    *,
    names: tuple[str, str] = ("model", "neural"),
) -> jax.Array:
    """Model features with the signal variance and the noise of recordings.

    ``x = s model + (a s model + b) z / sqrt(T)`` with ``s^2 = (var(neural) - noise variance) /
    var(model)`` and noise variance ``mean((a neural + b)^2) / T``; variances over all entries.

    Args:
        model: features ``[n, p]``.
        neural: responses to the same stimuli, means over repetitions, ``[n, q]``.
        noise: a random key, or z itself, standard normal ``[n, p]``.
        parameters: a, b and T.
        names: what the arrays are called in errors.

    Returns:
        Noisy features ``[n, p]``.

    Raises:
        InputError: if shapes do not fit, values are NaN, the features are constant, or the
            recordings vary less than their noise alone would.
    """
    model, neural = prepare(model, neural, parameters, names)
    if jnp.issubdtype(jnp.asarray(noise).dtype, jax.dtypes.prng_key):
        noise = jax.random.normal(noise, model.shape, model.dtype)
    noise = checks.floats(noise, "noise", 2)
    if noise.shape != model.shape:
        raise InputError(
            f"noise is {noise.shape}, must be of the shape of {names[0]}, {model.shape}"
        )
    return _match_noise(model, neural, noise, parameters)


def prepare(
    model: Any, neural: Any, parameters: NeuralNoise | None, names: tuple[str, str]
) -> tuple[jax.Array, jax.Array]:
    """Both arrays after the checks that noise matching needs; None: there is none."""
    model = checks.floats(model, names[0], 2)
    neural = checks.floats(neural, names[1], 2)
    checks.same_length(len(model), len(neural), *names)
    checks.varies(model, names[0])
    if parameters is not None and checks.known(neural):
        total, noise = float(jnp.var(neural)), float(noise_variance(neural, parameters))
        if total <= noise:
            raise InputError(
                f"{names[1]} has variance {total:.3g}, its noise alone would have {noise:.3g}: "
                "give NeuralNoise parameters that fit, in the recordings' units"
            )
    return model, neural


def noise_variance(neural: jax.Array, parameters: NeuralNoise) -> jax.Array:
    """``mean((a x + b)^2) / T`` over all entries."""
    deviation = parameters.slope * neural + parameters.offset
    return jnp.square(deviation).mean() / parameters.repetitions


@checks.compiled(static=("parameters",))
def _match_noise(model, neural, noise, parameters):
    signal = jnp.var(neural) - noise_variance(neural, parameters)
    x = jnp.sqrt(signal / jnp.var(model)) * model
    deviation = parameters.slope * x + parameters.offset
    return x + deviation * noise / parameters.repetitions**0.5


def recordings_noise(presentations: np.ndarray | None) -> NeuralNoise:
    """Noise parameters of recordings.

    Where single presentations are known, the standard deviation over them is fitted, by least
    squares over all stimuli and neuroids, as a line ``a x + b`` of the mean response x; T is their
    number. Otherwise the published parameters of Cadieu's multi-unit sites are taken.

    Args:
        presentations: responses ``[R, S, N]``, or None.
    """
    if presentations is None or len(presentations) < _FEWEST_PRESENTATIONS:
        return CADIEU_IT
    mean = presentations.mean(axis=0, dtype=np.float64).ravel()
    deviation = presentations.std(axis=0, ddof=1, dtype=np.float64).ravel()
    if np.ptp(mean) == 0:
        return CADIEU_IT
    slope, offset = np.polyfit(mean, deviation, 1)
    return NeuralNoise(float(slope), float(offset), float(len(presentations)))

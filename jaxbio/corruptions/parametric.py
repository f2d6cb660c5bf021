"""The parametric distortions of model-vs-human: stimuli from any pictures.

Ten experiments with their published conditions: contrast, low-pass, high-pass, phase-scrambling,
power-equalisation, rotation, uniform-noise and eidolonI to III. All make grey pictures, as
published.

Reference:
    Geirhos et al. 2018, "Generalisation in humans and deep neural networks", and its image
    manipulations (rgeirhos/generalisation-humans-DNNs); Koenderink et al. 2017, "Eidolons: Novel
    stimuli for vision research", J. Vision 17, with the correction of partial coherence that
    Geirhos et al. used.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.typing import ArrayLike

from jaxbio.corruptions.compiled import as_batch, image_keys

_REACHES = (1, 2, 4, 8, 16, 32, 64, 128)
CONDITIONS: dict[str, tuple[str, ...]] = {
    "contrast": ("c100", "c50", "c30", "c15", "c10", "c05", "c03", "c01"),
    "low-pass": ("0", "1", "3", "5", "7", "10", "15", "40"),
    "high-pass": ("inf", "3.0", "1.5", "1.0", "0.7", "0.55", "0.45", "0.4"),
    "phase-scrambling": ("0", "30", "60", "90", "120", "150", "180"),
    "power-equalisation": ("0", "pow"),
    "rotation": ("0", "90", "180", "270"),
    "uniform-noise": ("0.0", "0.03", "0.05", "0.1", "0.2", "0.35", "0.6", "0.9"),
    # reach, ten times the coherence, grain; reach and grain in pixels of a picture of 256
    "eidolonI": tuple(f"{reach}-10-10" for reach in _REACHES),
    "eidolonII": tuple(f"{reach}-3-10" for reach in _REACHES),
    "eidolonIII": tuple(f"{reach}-0-10" for reach in _REACHES),
}
_LUMINANCE = (0.2125, 0.7154, 0.0721)  # scikit-image's rgb2gray
_BACKGROUND = 0.4423  # mean grey of the published pictures
_NOISE_CONTRAST = 0.3
_FILTER_RADIUS = 4.0  # standard deviations, scipy's default
_EIDOLON_SIZE = 256
_MIN_SIGMA = math.sqrt(0.5)


def distort(
    images: ArrayLike,
    experiment: str,
    condition: str,
    key: ArrayLike,
    *,
    indices: ArrayLike | None = None,
    spectrum: ArrayLike | None = None,
) -> Array:
    """Distorts pictures; a pure function of (picture, experiment, condition, key).

    Args:
        images: ``[B, H, W, 3]`` or ``[H, W, 3]``, uint8 or floating in [0, 1], as in
            :func:`jaxbio.corruptions.corrupt`.
        experiment: one of ``CONDITIONS``; static.
        condition: one of the experiment's; static.
        key: a JAX random key, or one per image; experiments without randomness ignore it.
        indices: ``[B]`` numbers of the pictures, which make the result independent of the batch.
        spectrum: for power-equalisation, ``[H, W]`` from :func:`mean_amplitude` over all pictures
            of the experiment.

    Returns:
        Same shape and dtype, all channels alike; uint8 results are rounded.

    Raises:
        ValueError: unknown experiment or condition, pictures that do not fit, a picture that is not
            square for rotation by 90 degrees, no spectrum where one is needed.
    """
    if experiment not in CONDITIONS:
        raise ValueError(f"unknown experiment {experiment!r}; one of {', '.join(CONDITIONS)}")
    if condition not in CONDITIONS[experiment]:
        raise ValueError(
            f"unknown condition {condition!r} of {experiment}; one of "
            f"{', '.join(CONDITIONS[experiment])}"
        )
    pictures, shape, batch = as_batch(images)
    _, height, width, _ = pictures.shape
    if condition in ("90", "270") and experiment == "rotation" and height != width:
        raise ValueError(f"pictures of {height}x{width} cannot be rotated by {condition} degrees")
    if condition == "pow" and (spectrum is None or jnp.shape(spectrum) != (height, width)):
        raise ValueError(
            f"spectrum has shape {spectrum if spectrum is None else jnp.shape(spectrum)}: "
            f"power-equalisation needs {height}x{width}, from mean_amplitude(images)"
        )
    keys = image_keys(key, indices, batch)
    distorted = _distort(pictures, keys, spectrum, experiment=experiment, condition=condition)
    return distorted.reshape(shape)


def mean_amplitude(images: ArrayLike) -> Array:
    """The mean over grey pictures of the amplitudes of their Fourier transforms, ``[H, W]``.

    Args:
        images: ``[B, H, W, 3]`` as for :func:`distort`. Of larger sets, average the results of
            equal batches.

    Raises:
        ValueError: pictures that do not fit.
    """
    pictures, _, batch = as_batch(images)
    if batch is None:
        raise ValueError("mean_amplitude needs a batch of pictures")
    return jnp.abs(jnp.fft.fft2(_grey(_unit(pictures)))).mean(0)


@functools.partial(jax.jit, static_argnames=("experiment", "condition"))
def _distort(
    images: Array, keys: Array, spectrum: Any, *, experiment: str, condition: str
) -> Array:
    x = _grey(_unit(images))
    if experiment.startswith("eidolon"):
        reach, coherence, grain = map(float, condition.split("-"))
        y = eidolon(x, keys, Eidolon(reach, coherence / 10, grain))
    elif experiment == "contrast":
        y = _contrast(x, int(condition[1:]) / 100)
    elif experiment == "low-pass":
        y = low_pass(x, float(condition))
    elif experiment == "high-pass":
        y = high_pass(x, float(condition))
    elif experiment == "phase-scrambling":
        y = scramble_phases(x, draw_phases(keys, x.shape[1:], math.radians(float(condition))))
    elif experiment == "power-equalisation":
        y = x if condition == "0" else _with_amplitude(x, jnp.asarray(spectrum, x.dtype))
    elif experiment == "rotation":
        y = jnp.rot90(x, int(condition) // 90, axes=(1, 2))
    else:
        y = uniform_noise(x, draw_uniform(keys, x.shape[1:], float(condition)))
    y = jnp.broadcast_to(jnp.clip(y, 0.0, 1.0)[..., None], images.shape)
    if images.dtype == jnp.uint8:
        return jnp.round(y * 255.0).astype(jnp.uint8)
    return y.astype(images.dtype)


def _unit(images: Array) -> Array:
    x = images.astype(jnp.float32)
    return x / 255.0 if images.dtype == jnp.uint8 else jnp.clip(x, 0.0, 1.0)


def _grey(x: Array) -> Array:
    """``[B, H, W, C]`` to ``[B, H, W]``."""
    if x.shape[-1] == 1:
        return x[..., 0]
    return (x * jnp.asarray(_LUMINANCE, x.dtype).reshape(1, 1, 1, 3)).sum(-1)


def _contrast(x: Array, level: float) -> Array:
    return (1 - level) / 2 + level * x


def draw_uniform(keys: Array, shape: tuple[int, ...], width: float) -> Array:
    """Noise in [-width, width), ``[B, H, W]``."""
    draw = functools.partial(jax.random.uniform, shape=shape, minval=-width, maxval=width)
    return jax.vmap(draw)(keys) if width else jnp.zeros((len(keys), *shape))


def uniform_noise(x: Array, noise: Array) -> Array:
    """Noise on pictures ``[B, H, W]`` of 30 % contrast."""
    return _contrast(x, _NOISE_CONTRAST) + noise


def low_pass(x: Array, std: float) -> Array:
    """Gaussian blur of ``[B, H, W]``; mean grey beyond the edges. 0 leaves pictures alone."""
    if std == 0:
        return x
    rows, columns = (jnp.asarray(_gaussian(n, std), x.dtype) for n in x.shape[1:])
    blurred = jnp.einsum("ij,bjk,lk->bil", rows, x - _BACKGROUND, columns, precision="highest")
    return blurred + _BACKGROUND


def high_pass(x: Array, std: float) -> Array:
    """What a blur takes away, around mean grey. ``inf`` leaves pictures alone."""
    if math.isinf(std):
        return x
    rest = x - low_pass(x, std)
    return rest + (_BACKGROUND - rest.mean((1, 2), keepdims=True))


def _gaussian(size: int, std: float) -> np.ndarray:
    """A blur as a matrix ``[size, size]``; the kernel's sum is 1 before the edges cut it."""
    radius = int(_FILTER_RADIUS * std + 0.5)
    weights = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / std))
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    kernel = np.zeros(max(size, radius + 1))
    kernel[: radius + 1] = weights[radius:] / weights.sum()
    return kernel[distance]


def draw_phases(keys: Array, shape: tuple[int, ...], width: float) -> Array:
    """Shifts in [-width, width) radians, ``[B, H, W]``, opposite for opposite frequencies.

    As published, the mean and, for even sizes, the highest frequencies keep their phases.
    """
    height, wide = shape
    shifts = draw_uniform(keys, shape, width)
    opposite = jnp.roll(shifts[:, ::-1, ::-1], (1, 1), (1, 2))
    v, u = np.indices(shape)
    first = v * wide + u < (-v % height) * wide + (-u % wide)
    kept = (v == 0) & (u == 0) | (2 * v == height) | (2 * u == wide)
    shifts = jnp.where(jnp.asarray(first)[None], shifts, -opposite)
    return jnp.where(jnp.asarray(kept)[None], 0.0, shifts)


def scramble_phases(x: Array, shifts: Array) -> Array:
    """Pictures ``[B, H, W]`` whose Fourier phases are shifted, in ``fft2``'s order."""
    return jnp.fft.ifft2(jnp.fft.fft2(x) * jnp.exp(1j * shifts)).real


def _with_amplitude(x: Array, amplitude: Array) -> Array:
    f = jnp.fft.fft2(x)
    return jnp.fft.ifft2(amplitude[None] * jnp.exp(1j * jnp.angle(f))).real


class Eidolon(NamedTuple):
    """What an eidolon is made with.

    Attributes:
        reach: strength of the displacements, pixels of a picture of 256.
        coherence: 1: coarse details carry fine ones along; 0: every scale moves on its own.
        grain: blur of the incoherent displacements, pixels of a picture of 256.
    """

    reach: float
    coherence: float
    grain: float


def eidolon(x: Array, keys: Array, parameters: Eidolon) -> Array:
    """Pictures ``[B, H, W]`` in [0, 1] whose scales are displaced at random, one after another."""
    side = max(x.shape[1:])
    parameters = parameters._replace(
        reach=parameters.reach * side / _EIDOLON_SIZE, grain=parameters.grain * side / _EIDOLON_SIZE
    )

    def one(inputs: tuple[Array, Array]) -> Array:
        picture, key = inputs
        plane = _embedded_shape(picture.shape)
        count = len(_sigmas(side))
        noise = jax.random.normal(key, (2, 2, count, *plane))
        return disarray(picture, noise, parameters)

    return lax.map(one, (x, keys))


def disarray(picture: Array, noise: Array, parameters: Eidolon) -> Array:
    """Partially coherent disarray of one picture.

    The picture, mirrored at its edges, is cut into differences of Gaussian blurs, which add up to
    it (but for the finest blur). Every slice is displaced by a blurred field of noise; coherent
    fields contain those of all coarser slices.

    Args:
        picture: ``[H, W]`` in [0, 1].
        noise: standard normal ``[2, 2, scales, H', W']``: for coherent and incoherent displacement,
            of rows and columns.
        parameters: in pixels of this picture.

    Returns:
        ``[H, W]``; like the published pictures in whole grey levels, truncated.
    """
    side = max(picture.shape)
    sigmas, (height, width) = _sigmas(side), noise.shape[-2:]
    rest = (height - picture.shape[0], width - picture.shape[1])
    margins = [(n // 2, n - n // 2) for n in rest]
    plane = jnp.pad(picture, margins, "symmetric")
    plane = jnp.floor(plane * 255.0 + 2.0**-13)
    blurs = jnp.asarray(np.stack([_transfer(height, width, s) for s in sigmas]))
    blurred = jnp.fft.irfft2(jnp.fft.rfft2(plane)[None] * blurs, (height, width))
    slices = blurred - jnp.concatenate([blurred[1:], jnp.zeros_like(blurred[:1])])

    scale = jnp.asarray([s / (side / 4) for s in sigmas]).reshape(1, -1, 1, 1)
    coherent = _fields(noise[0], blurs) * scale
    coherent = jnp.cumsum(coherent[:, ::-1], 1)[:, ::-1]
    grain = jnp.asarray(_transfer(height, width, parameters.grain))
    incoherent = _fields(noise[1], jnp.broadcast_to(grain[None], blurs.shape))
    field = parameters.coherence * coherent + (1 - parameters.coherence) * incoherent

    rows, columns = jnp.arange(height).reshape(1, -1, 1), jnp.arange(width).reshape(1, 1, -1)
    rows = jnp.clip(field[0] * parameters.reach + rows, 0, height - 1).astype(jnp.int32)
    columns = jnp.clip(field[1] * parameters.reach + columns, 0, width - 1).astype(jnp.int32)
    moved = jnp.take_along_axis(
        slices.reshape(len(sigmas), -1), (rows * width + columns).reshape(len(sigmas), -1), 1
    ).reshape(slices.shape)
    (top, bottom), (left, right) = margins
    result = moved.sum(0)[top : height - bottom, left : width - right]
    return jnp.floor(jnp.clip(result, 0.0, 255.0) + 2.0**-13) / 255.0


def _fields(noise: Array, transfers: Array) -> Array:
    """Blurred noise ``[2, scales, H, W]`` of the published amplitude.

    The published fields are scaled to a largest value of 127.5 before the blur, and a slip in their
    standardisation subtracts mean / deviation; both are part of what ``reach`` means.
    """
    peak = jnp.abs(noise).max((2, 3), keepdims=True)
    noise = jnp.clip(127.5 * noise / peak, -127.0, 127.0)
    blurred = jnp.fft.irfft2(jnp.fft.rfft2(noise) * transfers[None], noise.shape[-2:])
    mean = blurred.mean((2, 3), keepdims=True)
    return blurred - mean / blurred.std((2, 3), keepdims=True)


def _sigmas(side: int) -> list[float]:
    """Blurs of the scales, a factor of sqrt(2) apart, up to an eighth of the side."""
    count = math.ceil(2 * math.log2(side / 4))
    return [_MIN_SIGMA * 2 ** (k / 2) for k in range(count)]


def _embedded_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Powers of two of at least one and a half times the picture."""
    return tuple(2 ** math.ceil(math.log2(1.5 * n)) for n in shape)


def _transfer(height: int, width: int, sigma: float) -> np.ndarray:
    """``rfft2`` of a sampled Gaussian around the origin, complex64 ``[height, width // 2 + 1]``."""

    def line(n: int) -> np.ndarray:
        x = np.fft.fftfreq(n, 1 / n)
        return np.exp(-0.5 * np.square(x / sigma)) / (math.sqrt(2 * math.pi) * sigma)

    return np.fft.rfft2(np.outer(line(height), line(width))).astype(np.complex64)

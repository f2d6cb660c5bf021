"""Fixed front-ends: V1 (a bank of Gabor cells) and V2 (AlexNet's second convolution).

Their filters live in the ``constants`` collection: saved with a model, never optimised. Only the
1x1 bottlenecks behind them are trained.

Reference:
    Dapello et al. 2020, "Simulating a Primary Visual Cortex at the Front of CNNs Improves
    Robustness to Image Perturbations", doi:10.1101/2020.06.16.154542 (V1).
    Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks",
    arXiv:1404.5997 (the AlexNet behind V2's filters).
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.models.convolution import conv2d
from jaxbio.models.layers import Conv, Kernel, max_pool
from jaxbio.ops.gabor import draw_colours, gabor_bank, sample_gabor_parameters
from jaxbio.ops.v1 import BANK_KEYS, Noise, Normalization, bank_to_constants, v1_response

PIXELS_PER_DEGREE = 28.0  # 224 pixels over 8 degrees, as published

SVP_DEFAULTS: dict[str, Any] = {"sf_max": 6.0, "noise_mode": "none"}
VONE_DEFAULTS: dict[str, Any] = {
    "sf_max": 9.0,
    "noise_mode": "neuronal",
    "noise_scale": 0.35,
    "noise_level": 0.07,
}

# Behind the retina, with its constants: variance of the noise over the mean .98.
EVNET_DEFAULTS: dict[str, Any] = {
    "sf_max": 8.0,
    "kernel_size": 31,
    "k_exc": 3.304,
    "same_color": True,
    "noise_mode": "neuronal",
    "noise_scale": 1 / 0.98,
}

_V2_SEED = 0


class V1(nn.Module):
    """Primary visual cortex: simple and complex Gabor cells, noise, and a trained 1x1 bottleneck.

    The bank is a function of the fields below. A converted checkpoint replaces it, whatever its
    choice of colour channels: the sizes of the groups of filters are those of the arrays in
    ``constants``.

    Attributes:
        simple_channels: number of simple cells.
        complex_channels: number of complex cells.
        out_channels: channels of the bottleneck.
        sf_corr: correlation of receptive-field size and spatial frequency.
        sf_max: highest spatial frequency, cycles per degree.
        sf_min: lowest spatial frequency, cycles per degree.
        param_mode: ``"neuronal"`` or ``"uniform"``, see
            :func:`jaxbio.ops.gabor.sample_gabor_parameters`.
        seed: of the Gabor parameters and of the colour channels.
        image_size: side of the images in pixels.
        visual_degrees: field of view of the image; None keeps 28 pixels per degree.
        kernel_size: side of the filters in pixels, odd.
        stride: distance of neighbouring cells in pixels.
        k_exc: gain of the cells.
        same_color: whether both quadratures of a complex cell read one colour channel.
        normalization: ``"none"`` or ``"divisive"``, see :class:`jaxbio.ops.v1.Normalization`.
        normalization_exponent: 1 or more; cortex has 1 to 3.5, 2 on average.
        normalization_constant: activity of the pool, without normalisation, at half saturation. The
            default is the pool's answer to gratings of about 30 % contrast.
        normalization_degrees: standard deviation of the surround, degrees.
        noise_mode: ``"none"``, ``"neuronal"`` or ``"gaussian"``, see :class:`jaxbio.ops.v1.Noise`.
        noise_scale: scale of the noise.
        noise_level: spontaneous rate of the neuronal noise.
        noise_at_eval: whether there is noise when not training, too, as in the published networks.
        fixed_noise_seed: if set, every call gets one and the same noise sample, no matter its
            ``"noise"`` stream.
        dtype: dtype of the maps; float32 or bfloat16.
    """

    simple_channels: int = 256
    complex_channels: int = 256
    out_channels: int = 64
    sf_corr: float = 0.75
    sf_max: float = 6.0
    sf_min: float = 0.0
    param_mode: str = "neuronal"
    seed: int = 0
    image_size: int = 224
    visual_degrees: float | None = None
    kernel_size: int = 25
    stride: int = 4
    k_exc: float = 25.0
    same_color: bool = False
    normalization: str = "none"
    normalization_exponent: float = 2.0
    normalization_constant: float = 0.6
    normalization_degrees: float = 0.75
    noise_mode: str = "none"
    noise_scale: float = 1.0
    noise_level: float = 0.0
    noise_at_eval: bool = False
    fixed_noise_seed: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the bottleneck's maps and the endpoints ``v1`` and ``v1_bottleneck``.

        Args:
            x: normalised images, ``[B, H, W, 3]``, or a retina's maps, ``[B, H, W, 3 or 4]``.
            train: whether there is noise even without ``noise_at_eval``. Noise that is not fixed
                needs ``rngs={"noise": key}``.

        Returns:
            Maps ``[B, H', W', out_channels]`` and endpoints: ``v1`` ``[B, H', W', F]``, the cells
            after noise and ReLU in published channel order, and ``v1_bottleneck``, the maps.

        Raises:
            InputError: if a field is out of range or the images are not ``[B, H, W, 3]``.
        """
        if x.ndim != 4 or x.shape[-1] not in (3, 4):
            raise InputError(f"images of shape {x.shape}; V1 needs [B, H, W, 3]")
        if self.stride < 1:
            raise InputError(f"stride={self.stride}, must be 1 or more")
        if self.normalization not in ("none", "divisive"):
            raise InputError(f"unknown normalization {self.normalization!r}: none or divisive")
        constants = self._constants(x.shape[-1])
        features = len(constants["order"])
        shape = (1, 1, features, self.out_channels)
        readout = Kernel(shape, name="bottleneck")()[0, 0]
        noise = source = None
        if self.noise_mode != "none":
            noise = Noise(self.noise_mode, self.noise_scale, self.noise_level)
            if train or self.noise_at_eval:
                source = self._noise_keys(x.shape[0])
        y, v1 = v1_response(
            x,
            constants,
            readout,
            stride=self.stride,
            k_exc=self.k_exc,
            normalization=self._normalization(),
            noise=noise if source is not None else None,
            source=source,
            dtype=self.dtype,
        )
        return y, {"v1": v1, "v1_bottleneck": y}

    @property
    def _pixels_per_degree(self) -> float:
        degrees = self.visual_degrees
        if degrees is None:
            degrees = self.image_size / PIXELS_PER_DEGREE
        if not degrees > 0:
            raise InputError(f"visual_degrees={degrees}, must be above 0")
        return self.image_size / degrees

    def _normalization(self) -> Normalization | None:
        if self.normalization == "none":
            return None
        spread = self.normalization_degrees * self._pixels_per_degree / self.stride
        return Normalization(self.normalization_exponent, self.normalization_constant, spread)

    def _constants(self, channels: int) -> dict[str, jax.Array]:
        if self.has_variable("constants", "order"):
            present = (key for key in BANK_KEYS if self.has_variable("constants", key))
            return {key: self.get_variable("constants", key) for key in present}
        for name in ("simple_channels", "complex_channels"):
            if getattr(self, name) < 0:
                raise InputError(f"{name}={getattr(self, name)}, must be 0 or more")
        bank = _sampled_bank(
            self.simple_channels + self.complex_channels,
            self.seed,
            self.same_color,
            channels,
            self._pixels_per_degree,
            self.kernel_size,
            mode=self.param_mode,
            sf_corr=self.sf_corr,
            sf_max=self.sf_max,
            sf_min=self.sf_min,
        )
        constants = bank_to_constants(*bank, self.simple_channels)
        for key, value in constants.items():
            self.variable("constants", key, lambda value=value: value)
        return constants

    def _noise_keys(self, batch: int) -> jax.Array:
        """One key per image; that of an image does not depend on the size of the batch."""
        if self.fixed_noise_seed is not None:
            key = jax.random.key(self.fixed_noise_seed)
        else:
            key = self.make_rng("noise")
        return jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))


@functools.lru_cache(maxsize=8)
def _sampled_bank(
    features: int,
    seed: int,
    same_color: bool,
    channels: int,
    pixels_per_degree: float,
    kernel_size: int,
    **sampling: Any,
) -> tuple[np.ndarray, np.ndarray]:
    return gabor_bank(
        sample_gabor_parameters(features, seed=seed, **sampling),
        draw_colours(features, seed=seed, same_color=same_color, channels=channels),
        pixels_per_degree=pixels_per_degree,
        kernel_size=kernel_size,
        channels=channels,
    )


class V2(nn.Module):
    """Second visual area: AlexNet's second convolution, frozen, and a trained 1x1 bottleneck.

    Convolution 5x5 to 192 channels with bias, ReLU, max-pool 3x3 of stride 2 without padding, 1x1
    convolution. The published filters are ImageNet's: pass those of an AlexNet checkpoint through
    :func:`v2_constants`. Until then the filters are a stand-in: normal with He's variance over the
    fan-in, from a fixed seed, with zero bias. It keeps the layer's scale but nothing of what
    AlexNet has learned; results with it are not the published system's.

    Attributes:
        out_channels: channels of the bottleneck.
        dtype: dtype of the maps; float32 or bfloat16.
    """

    out_channels: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the bottleneck's maps and the endpoints ``v2_pool`` and ``v2``.

        Args:
            x: V1's maps, ``[B, H, W, 64]`` (any number of channels with the stand-in).
            train: makes no difference.

        Returns:
            Maps ``[B, H', W', out_channels]``, H' = (H - 3) // 2 + 1 (1 if that is less), and
            endpoints: ``v2_pool`` ``[B, H', W', 192]`` and ``v2``, the maps.

        Raises:
            InputError: if the filters are for another number of channels.
        """
        del train
        channels = x.shape[-1]
        kernel = self.variable("constants", "kernel", lambda: _v2_stand_in(channels)).value
        bias = self.variable("constants", "bias", jnp.zeros, kernel.shape[-1]).value
        if kernel.shape[2] != channels:
            raise InputError(
                f"V2's filters read {kernel.shape[2]} channels, but V1 gives {channels}: set V1's "
                f"out_channels={kernel.shape[2]}"
            )
        x = conv2d(x.astype(self.dtype), kernel.astype(self.dtype), 1, kernel.shape[0] // 2)
        x = jax.nn.relu(x + bias.astype(self.dtype).reshape(1, 1, 1, -1))
        pool = max_pool(x, 3, 2)
        y = Conv(self.out_channels, 1, dtype=self.dtype, name="bottleneck")(pool)
        return y, {"v2_pool": pool, "v2": y}


def v2_constants(weight: np.ndarray, bias: np.ndarray) -> dict[str, jax.Array]:
    """V2's filters from PyTorch's arrays.

    Args:
        weight: ``[192, 64, 5, 5]``, AlexNet's ``features.3.weight``.
        bias: ``[192]``.

    Returns:
        ``kernel`` ``[5, 5, 64, 192]`` and ``bias``, for the ``constants`` of :class:`V2`.

    Raises:
        InputError: if the shapes do not fit.
    """
    weight, bias = np.asarray(weight, np.float32), np.asarray(bias, np.float32)
    if weight.ndim != 4 or weight.shape[2:] != (5, 5) or bias.shape != weight.shape[:1]:
        raise InputError(
            f"weight is {weight.shape} and bias {bias.shape}; V2 needs (192, 64, 5, 5) and (192,)"
        )
    return {"kernel": jnp.asarray(weight.transpose(2, 3, 1, 0)), "bias": jnp.asarray(bias)}


def _v2_stand_in(channels: int) -> jax.Array:
    shape = (5, 5, channels, 192)
    normal = np.random.default_rng(_V2_SEED).standard_normal(shape)
    return jnp.asarray(normal * np.sqrt(2 / (25 * channels)), jnp.float32)

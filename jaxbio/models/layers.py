"""Layers that compute what their PyTorch counterparts compute, in NHWC.

Padding is explicit and symmetric, BatchNorm feeds its running variance the unbiased batch variance,
pooling windows are clipped to small maps, adaptive pooling follows PyTorch's bin edges.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.models import cpu
from jaxbio.models.convolution import conv2d, depthwise_conv2d, matmul_maps

Initializer = Callable[..., jax.Array]

kaiming_fan_out: Initializer = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
kaiming_fan_in: Initializer = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
kaiming_uniform_fan_in: Initializer = nn.initializers.variance_scaling(2.0, "fan_in", "uniform")
# PyTorch's own default: kaiming_uniform_(a=sqrt(5)), that is uniform within 1/sqrt(fan_in).
torch_default: Initializer = nn.initializers.variance_scaling(1.0 / 3.0, "fan_in", "uniform")


def uniform_within(bound: float) -> Initializer:
    """Uniform initialisation in ``[-bound, bound)``."""

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


class Conv(nn.Module):
    """2-D convolution with symmetric padding.

    Attributes:
        stride: stride of both axes.
        padding: zeros added to each side; None means ``kernel // 2``.
        kernel_init: initialiser of the kernel ``[k, k, C_in, features]``.
        bias_init: initialiser of the bias; None means PyTorch's default, uniform within
            ``1/sqrt(fan_in)``.
        dtype: dtype of the computation; parameters stay float32.
        depthwise: whether every channel has a kernel of its own, ``[k, k, 1, features]``;
            ``features`` are the input's then.
    """

    features: int
    kernel: int
    stride: int = 1
    padding: int | None = None
    use_bias: bool = False
    kernel_init: Initializer = kaiming_fan_out
    bias_init: Initializer | None = nn.initializers.zeros
    dtype: Any = jnp.float32
    depthwise: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Convolves ``x`` ``[B, H, W, C]``; returns ``[B, H', W', features]``."""
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.kernel, self.kernel, inputs, self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        padding = self.kernel // 2 if self.padding is None else self.padding
        convolve = depthwise_conv2d if self.depthwise else conv2d
        y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, padding)
        if self.use_bias:
            bias_init = self.bias_init or uniform_within(1 / math.sqrt(math.prod(shape[:3])))
            bias = self.param("bias", bias_init, (self.features,), jnp.float32)
            y = y + bias.astype(self.dtype).reshape(1, 1, 1, -1)
        return y


# As PyTorch starts it.
TorchConv = partial(Conv, use_bias=True, kernel_init=torch_default, bias_init=None)


class Kernel(nn.Module):
    """Holds the kernel ``[k, k, C_in, C_out]`` of a convolution that is applied elsewhere."""

    shape: tuple[int, ...]
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self) -> jax.Array:
        """The kernel, in ``dtype``."""
        return self.param("kernel", kaiming_fan_out, self.shape, jnp.float32).astype(self.dtype)


class Linear(nn.Module):
    """Fully connected layer on the last axis.

    Attributes:
        kernel_init: initialiser of the kernel ``[inputs, features]``.
        bias_init: initialiser of the bias; None means PyTorch's default, uniform within
            ``1/sqrt(inputs)``.
        dtype: dtype of the computation; parameters stay float32.
    """

    features: int
    kernel_init: Initializer = torch_default
    bias_init: Initializer | None = None
    dtype: Any = jnp.float32
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps ``[..., inputs]`` to ``[..., features]``."""
        n_in = x.shape[-1]
        kernel = self.param("kernel", self.kernel_init, (n_in, self.features), jnp.float32)
        y = matmul_maps(x.astype(self.dtype), kernel.astype(self.dtype))
        if not self.use_bias:
            return y
        bias_init = self.bias_init or uniform_within(1 / math.sqrt(n_in))
        bias = self.param("bias", bias_init, (self.features,), jnp.float32)
        return y + bias.astype(self.dtype).reshape((1,) * (y.ndim - 1) + (-1,))


# As torchvision starts the classifiers of VGGs and MobileNets.
NormalLinear = partial(
    Linear, kernel_init=nn.initializers.normal(0.01), bias_init=nn.initializers.zeros
)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with PyTorch's running statistics.

    A batch is normalised with its biased variance, while the running variance is fed the unbiased
    one: ``n / (n - 1)`` with n = B * H * W. Statistics are float32 whatever the dtype of the map.

    Attributes:
        momentum: weight of the old running statistics.

    Reference:
        Ioffe and Szegedy 2015, "Batch Normalization", arXiv:1502.03167.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool, moments: tuple[jax.Array, jax.Array] | None = None
    ) -> jax.Array:
        """Normalises ``x`` ``[B, H, W, C]`` with the batch's statistics or the running ones.

        In training the running ones are updated; ``moments`` are :func:`batch_moments` of ``x`` if
        the caller has them already.
        """
        channels = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, channels, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, channels, jnp.float32)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels, jnp.float32)
        var = self.variable("batch_stats", "var", jnp.ones, channels, jnp.float32)
        if train:
            batch_mean, batch_var = batch_moments(x) if moments is None else moments
            if not self.is_initializing():
                n = math.prod(x.shape[:-1])
                unbiased = batch_var * (n / max(n - 1, 1))
                mean.value = self.momentum * mean.value + (1 - self.momentum) * batch_mean
                var.value = self.momentum * var.value + (1 - self.momentum) * unbiased
        else:
            batch_mean, batch_var = mean.value, var.value
        gain = scale * lax.rsqrt(batch_var + self.epsilon)
        shape = (1,) * (x.ndim - 1) + (-1,)
        y = x * gain.reshape(shape) + (bias - batch_mean * gain).reshape(shape)
        return y.astype(self.dtype)


def batch_moments(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and biased variance of every channel, float32 ``[C]`` each."""
    axes = tuple(range(x.ndim - 1))
    x = x.astype(jnp.float32)
    mean = jnp.mean(x, axes)
    return mean, jnp.mean(jnp.square(x - mean.reshape((1,) * len(axes) + (-1,))), axes)


def max_pool(
    x: jax.Array, window: int, stride: int, padding: int = 0, ceil_mode: bool = False
) -> jax.Array:
    """Maximum over square windows, padded with -inf.

    A window larger than the padded map is clipped to it, so that a map of one pixel passes
    unchanged.

    Args:
        x: maps, ``[B, H, W, C]``.
        window: side of the window.
        stride: stride of both axes.
        padding: padding of each side.
        ceil_mode: whether a last, partial window counts if it starts inside the padded map's left
            part, as PyTorch's flag of that name.

    Returns:
        ``[B, H', W', C]``.
    """
    windows, pads = _pool_geometry(x.shape, window, stride, padding, ceil_mode)
    plain = partial(nn.max_pool, window_shape=windows, strides=(stride, stride), padding=pads)
    if stride != 2:
        return plain(x)
    faster = partial(cpu.max_pool_by_two, windows=windows, pads=pads)
    return lax.platform_dependent(x, cpu=faster, default=plain)


def avg_pool(x: jax.Array, window: int) -> jax.Array:
    """Mean over adjacent square windows; a window larger than the map is clipped to it."""
    rows, columns = min(window, x.shape[1]), min(window, x.shape[2])
    h, w = x.shape[1] // rows, x.shape[2] // columns
    x = x[:, : h * rows, : w * columns]
    return x.reshape(x.shape[0], h, rows, w, columns, x.shape[-1]).mean((2, 4))


def _pool_geometry(
    shape: Sequence[int], window: int, stride: int, padding: int, ceil_mode: bool
) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    windows, pads = [], []
    for n in shape[1:3]:
        size = min(window, n + 2 * padding)
        extra = 0
        if ceil_mode:
            outputs = -(-(n + 2 * padding - size) // stride) + 1
            if (outputs - 1) * stride >= n + padding:  # it would start in the right padding
                outputs -= 1
            extra = max(0, (outputs - 1) * stride + size - (n + 2 * padding))
        windows.append(size)
        pads.append((padding, padding + extra))
    return (windows[0], windows[1]), pads


def adaptive_avg_pool(x: jax.Array, size: int) -> jax.Array:
    """Averages ``[B, H, W, C]`` to ``[B, size, size, C]`` over PyTorch's adaptive bins.

    Bin i of n pixels covers ``[floor(i n / m), ceil((i + 1) n / m))`` with m = ``size``: bins
    overlap where m does not divide n, and repeat where n < m.
    """
    for axis in (1, 2):
        n = x.shape[axis]
        if n == size:
            continue
        bins = np.zeros((size, n), np.float32)
        for i in range(size):
            low, high = i * n // size, -(-(i + 1) * n // size)
            bins[i, low:high] = 1 / (high - low)
        matrix = jnp.asarray(bins, x.dtype)
        pattern = "mh,bhwc->bmwc" if axis == 1 else "mw,bhwc->bhmc"
        x = jnp.einsum(pattern, matrix, x, precision=lax.Precision.HIGHEST)
    return x


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Mean over the map, ``[B, H, W, C]`` to ``[B, C]``, accumulated in float32."""
    return jnp.mean(x, axis=(1, 2), dtype=jnp.float32).astype(x.dtype)

"""Convolutions and matrix products in the formulation that suits shape and platform.

Each is a ``jit`` of its own: equal layers of a network are traced and differentiated once.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
from jax import lax

from jaxbio.models import cpu

_Product: TypeAlias = Callable[[jax.Array, jax.Array], jax.Array]


@partial(jax.jit, static_argnames=("stride", "padding"))
def conv2d(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Cross-correlates maps with a kernel.

    Args:
        x: maps, ``[B, H, W, C]``.
        kernel: ``[k, k, C, features]``.
        stride: stride of both axes.
        padding: zeros added to each side of both axes.

    Returns:
        ``[B, H', W', features]`` with ``H' = (H + 2 * padding - k) // stride + 1``.
    """
    plain = partial(_convolve, stride=stride, padding=padding)
    faster = cpu.faster_convolution(x, kernel, stride, padding)
    if faster is None:
        return plain(x, kernel)
    return _by_platform(faster, plain, x, kernel)


@partial(jax.jit, static_argnames=("stride", "padding"))
def depthwise_conv2d(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """Cross-correlates every channel with a kernel of its own.

    Args:
        x: maps, ``[B, H, W, C]``.
        kernel: ``[k, k, 1, C]``.
        stride: stride of both axes.
        padding: zeros added to each side of both axes.

    Returns:
        ``[B, H', W', C]`` with ``H' = (H + 2 * padding - k) // stride + 1``.
    """
    plain = partial(_convolve, stride=stride, padding=padding, groups=x.shape[-1])
    faster = partial(cpu.depthwise_by_taps, stride=stride, padding=padding)
    return _by_platform(faster, plain, x, kernel)


@jax.jit
def matmul_maps(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for ``[..., inputs]`` and ``[inputs, features]``."""
    return _by_platform(cpu.matmul_maps, jax.numpy.matmul, x, w)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _by_platform(on_cpu: _Product, elsewhere: _Product, x: jax.Array, w: jax.Array) -> jax.Array:
    """``lax.platform_dependent`` that keeps nothing of the platform for the backward pass.

    Kept, the platform would be a number like any other in the gradient of a ``jit`` or a scan, and
    the sums over devices of the weight's gradient would stand in branches of a conditional, which
    processes do not run in the same order.
    """
    return lax.platform_dependent(x, w, cpu=on_cpu, default=elsewhere)


def _by_platform_forward(on_cpu: _Product, elsewhere: _Product, x: jax.Array, w: jax.Array):
    return _by_platform(on_cpu, elsewhere, x, w), (x, w)


def _by_platform_backward(on_cpu: _Product, elsewhere: _Product, residuals, g: jax.Array):
    def pullback(product: _Product) -> Callable[..., Any]:
        return lambda x, w, g: jax.vjp(product, x, w)[1](g)

    return lax.platform_dependent(*residuals, g, cpu=pullback(on_cpu), default=pullback(elsewhere))


_by_platform.defvjp(_by_platform_forward, _by_platform_backward)


def _convolve(
    x: jax.Array, kernel: jax.Array, stride: int, padding: int, groups: int = 1
) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )

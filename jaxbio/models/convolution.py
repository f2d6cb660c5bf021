"""Convolutions and matrix products in the formulation that suits shape and platform.

Each is a ``jit`` of its own: equal layers of a network are traced and differentiated once.
"""

from functools import partial

import jax
from jax import lax

from jaxbio.models import cpu


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
    return lax.platform_dependent(x, kernel, cpu=faster, default=plain)


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
    return lax.platform_dependent(x, kernel, cpu=faster, default=plain)


@jax.jit
def matmul_maps(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for ``[..., inputs]`` and ``[inputs, features]``."""
    return lax.platform_dependent(x, w, cpu=cpu.matmul_maps, default=jax.numpy.matmul)


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

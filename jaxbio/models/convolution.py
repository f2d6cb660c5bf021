"""2-D convolution in the formulation that suits its shape and the backend."""

import math

import jax
import jax.numpy as jnp
from jax import lax

from jaxbio.models.winograd import conv3x3_winograd

_WIDE = 256  # channels in and out from which on a 3x3 convolution is worth rewriting
_MOST_PATCHES = 2**26  # numbers, 256 MiB


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
    if jax.default_backend() == "cpu":
        # XLA's CPU backend runs a 1x1 convolution at half the speed of the same matrix product, and
        # one whose map is smaller than its kernel in plain loops, a hundred times slower.
        if kernel.shape[:2] == (1, 1) and padding == 0:
            return matmul_maps(x[:, ::stride, ::stride], kernel[0, 0])
        if min(x.shape[1:3]) < kernel.shape[0]:
            return _conv_by_patches(x, kernel, stride, padding)
        # Wide 3x3 convolutions as matrix products: docs/results.md has the timings.
        if kernel.shape[:2] == (3, 3) and padding == 1 and min(kernel.shape[2:]) >= _WIDE:
            pixels = math.prod(x.shape[:3])
            if stride == 1 and pixels >= max(kernel.shape[2:]) and x.dtype == jnp.float32:
                return conv3x3_winograd(x, kernel)
            if pixels * 9 * kernel.shape[2] <= _MOST_PATCHES * stride**2:
                return _conv_by_patches(x, kernel, stride, padding)
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _conv_by_patches(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """One matrix product of the windows of ``x`` and the flattened kernel."""
    size = kernel.shape[0]
    sides = (padding, padding)
    rows, columns = ((n + 2 * padding - size) // stride * stride + 1 for n in x.shape[1:3])
    # Taps that see nothing but padding, on maps smaller than the kernel, are left out.
    taps = [
        (i, j)
        for i in range(size)
        for j in range(size)
        if _touches(i, x.shape[1], rows, padding) and _touches(j, x.shape[2], columns, padding)
    ]
    x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)))
    windows = [x[:, i : i + rows : stride, j : j + columns : stride] for i, j in taps]
    if len(taps) == size * size:
        flat = kernel.reshape(-1, kernel.shape[-1])
    else:
        flat = jnp.concatenate([kernel[i, j] for i, j in taps])
    return matmul_maps(jnp.concatenate(windows, axis=-1), flat)


def _touches(tap: int, size: int, span: int, padding: int) -> bool:
    """Whether a tap, moved over ``span`` places, ever lies on a map of ``size`` pixels."""
    return tap < padding + size and tap + span > padding


def matmul_maps(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for ``[..., inputs]`` and ``[inputs, features]``, in the backend's best form."""
    if jax.default_backend() != "cpu":
        return x @ w
    y = _matmul(x.reshape(-1, x.shape[-1]), w)
    return y.reshape(*x.shape[:-1], y.shape[-1])


@jax.custom_vjp
def _matmul(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for a tall ``x``, with the weight's gradient in the cheaper operand order."""
    return x @ w


def _matmul_forward(x: jax.Array, w: jax.Array):
    return x @ w, (x, w)


def _matmul_backward(residuals, g: jax.Array):
    x, w = residuals
    contract_rows = (((0,), (0,)), ((), ()))
    # The left operand is copied transposed, slowly: let it be the narrower one. The barrier keeps
    # XLA from folding the small final transposition back into the product.
    if x.shape[1] <= g.shape[1]:
        dw = lax.dot_general(x, g, contract_rows)
    else:
        dw = lax.optimization_barrier(lax.dot_general(g, x, contract_rows)).T
    return g @ w.T, dw


_matmul.defvjp(_matmul_forward, _matmul_backward)

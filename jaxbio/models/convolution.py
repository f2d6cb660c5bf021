"""2-D convolution in the formulation that suits its shape and the backend."""

import jax
import jax.numpy as jnp
from jax import lax


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
            return _matmul_maps(x[:, ::stride, ::stride], kernel[0, 0])
        if min(x.shape[1:3]) < kernel.shape[0]:
            return _matmul_maps(
                _patches(x, kernel.shape[0], stride, padding),
                kernel.reshape(-1, kernel.shape[-1]),
            )
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        ((padding, padding), (padding, padding)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _patches(x: jax.Array, size: int, stride: int, padding: int) -> jax.Array:
    """Every window of ``[B, H, W, C]``, flattened: ``[B, H', W', size * size * C]``."""
    sides = (padding, padding)
    x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)))
    rows, columns = ((n - size) // stride * stride + 1 for n in x.shape[1:3])
    windows = [
        x[:, i : i + rows : stride, j : j + columns : stride]
        for i in range(size)
        for j in range(size)
    ]
    return jnp.concatenate(windows, axis=-1)


def _matmul_maps(x: jax.Array, w: jax.Array) -> jax.Array:
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

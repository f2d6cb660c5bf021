"""3x3 convolution of stride 1 with 16 multiplications where the definition has 36."""

import jax
import jax.numpy as jnp
from jax import lax


def conv3x3_winograd(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Cross-correlates maps with a 3x3 kernel, stride 1, padded by 1.

    Tiles of 2x2 outputs: Y = A' [(G K G') * (B' X B)] A over tiles X of 4x4 inputs, where the
    product in the middle is one of matrices for each of the 16 places of a tile. Its matrices hold
    sums and differences of inputs alone, so float32 loses little: errors are those of a sum over
    the channels in another order. All steps are linear; the gradients are as cheap.

    Args:
        x: maps, ``[B, H, W, C]``.
        kernel: ``[3, 3, C, features]``.

    Returns:
        ``[B, H, W, features]``.

    Reference:
        Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308.
    """
    batch, height, width, channels = x.shape
    rows, columns = -(-height // 2), -(-width // 2)
    pads = ((0, 0), (1, 2 * rows - height + 1), (1, 2 * columns - width + 1), (0, 0))
    x = jnp.pad(x, pads)
    inputs = jnp.stack([v for lines in _input_lines(x, 1) for v in _input_lines(lines, 2)])
    kernels = jnp.stack([u for row in _kernel_lines(kernel) for u in _kernel_lines(row)])
    y = lax.dot_general(
        inputs.reshape(16, -1, channels), kernels, (((2,), (1,)), ((0,), (0,)))
    ).reshape(4, 4, batch, rows, columns, -1)
    y = _output_lines(y)  # [2, 4, ...]
    y = jnp.stack([_output_lines(line) for line in y])  # [2, 2, batch, rows, columns, features]
    y = y.transpose(2, 3, 0, 4, 1, 5).reshape(batch, 2 * rows, 2 * columns, -1)
    return y[:, :height, :width]


def _input_lines(x: jax.Array, axis: int) -> list[jax.Array]:
    """B' X along one axis: four sums, over the tiles, of lines 2 i + (0, 1, 2, 3)."""
    tiles = x.shape[axis] // 2 - 1
    pairs = x.reshape(*x.shape[:axis], tiles + 1, 2, *x.shape[axis + 1 :])
    even, odd = (lax.index_in_dim(pairs, i, axis + 1, keepdims=False) for i in (0, 1))
    x0, x2 = (lax.slice_in_dim(even, i, i + tiles, axis=axis) for i in (0, 1))
    x1, x3 = (lax.slice_in_dim(odd, i, i + tiles, axis=axis) for i in (0, 1))
    return [x0 - x2, x1 + x2, x2 - x1, x1 - x3]


def _kernel_lines(k: jax.Array) -> list[jax.Array]:
    """G K along the leading axis, three lines to four."""
    outer, middle = 0.5 * (k[0] + k[2]), 0.5 * k[1]
    return [k[0], outer + middle, outer - middle, k[2]]


def _output_lines(y: jax.Array) -> jax.Array:
    """A' Y along the leading axis, four lines to two."""
    return jnp.stack([y[0] + y[1] + y[2], y[1] - y[2] - y[3]])

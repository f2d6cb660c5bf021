"""What XLA's CPU backend runs slowly, in forms that it runs fast.

Callers give these to ``jax.lax.platform_dependent``: which form runs follows from the device that a
program is compiled for, wherever it was traced. docs/results.md has the timings.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce

import jax
import jax.numpy as jnp
from jax import lax

_WIDE = 256  # channels in and out from which on a 3x3 convolution is worth rewriting
_MOST_PATCHES = 2**26  # numbers, 256 MiB


def faster_convolution(
    x: jax.Array, kernel: jax.Array, stride: int, padding: int
) -> Callable[[jax.Array, jax.Array], jax.Array] | None:
    """A function of maps and kernel that convolves faster than XLA, or None if XLA is fast.

    The arguments are those of :func:`jaxbio.models.convolution.conv2d`; shapes and dtype decide.
    """
    # XLA runs a 1x1 convolution at half the speed of the same matrix product, and one whose map is
    # smaller than its kernel in plain loops, a hundred times slower.
    if kernel.shape[:2] == (1, 1) and padding == 0:
        return lambda x, kernel: matmul_maps(x[:, ::stride, ::stride], kernel[0, 0])
    by_patches = partial(_conv_by_patches, stride=stride, padding=padding)
    if min(x.shape[1:3]) < kernel.shape[0]:
        return by_patches
    if kernel.shape[:2] == (3, 3) and padding == 1 and min(kernel.shape[2:]) >= _WIDE:
        pixels = math.prod(x.shape[:3])
        if stride == 1 and pixels >= max(kernel.shape[2:]) and x.dtype == jnp.float32:
            return conv3x3_winograd
        if pixels * 9 * kernel.shape[2] <= _MOST_PATCHES * stride**2:
            return by_patches
    return None


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


def depthwise_by_taps(x: jax.Array, kernel: jax.Array, stride: int, padding: int) -> jax.Array:
    """:func:`jaxbio.models.convolution.depthwise_conv2d`, as a sum over the kernel's taps."""
    size = kernel.shape[0]
    rows, columns = ((n + 2 * padding - size) // stride * stride + 1 for n in x.shape[1:3])
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    terms = (
        x[:, i : i + rows : stride, j : j + columns : stride] * kernel[i, j].reshape(1, 1, 1, -1)
        for i in range(size)
        for j in range(size)
    )
    return reduce(jnp.add, terms)


def _touches(tap: int, size: int, span: int, padding: int) -> bool:
    """Whether a tap, moved over ``span`` places, ever lies on a map of ``size`` pixels."""
    return tap < padding + size and tap + span > padding


def matmul_maps(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for ``[..., inputs]`` and ``[inputs, features]``."""
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


@partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def max_pool_by_two(
    x: jax.Array, windows: Sequence[int], pads: Sequence[tuple[int, int]]
) -> jax.Array:
    """Maximum over windows at a stride of 2, padded with -inf.

    As maxima of strided slices, rows first, which is the fastest where no gradient is wanted; the
    gradient is that of another form (:func:`_max_pool_by_two`).

    Args:
        x: maps, ``[B, H, W, C]``.
        windows: height and width of the window.
        pads: padding before and behind rows, columns.
    """
    edges = [(0, 0, 0), *((*pad, 0) for pad in pads), (0, 0, 0)]
    x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), edges)
    for axis, window in zip((1, 2), windows, strict=True):
        last = (x.shape[axis] - window) // 2 * 2 + 1
        lines = (lax.slice_in_dim(x, i, i + last, stride=2, axis=axis) for i in range(window))
        x = reduce(jnp.maximum, lines)
    return x


def _max_pool_forward(x: jax.Array, windows: Sequence[int], pads: Sequence[tuple[int, int]]):
    """The same with its pullback, which is cheap: XLA's own is slower than the convolutions around.

    Columns, then rows, as maxima of the map's even and odd lines differentiate into plain
    arithmetic.
    """

    def pool(x: jax.Array) -> jax.Array:
        for axis in (2, 1):
            x = _max_pool_by_two(x, axis, windows[axis - 1], pads[axis - 1])
        return x

    return jax.vjp(pool, x)


def _max_pool_backward(windows, pads, pullback, g: jax.Array):
    return pullback(g)


max_pool_by_two.defvjp(_max_pool_forward, _max_pool_backward)


def _max_pool_by_two(x: jax.Array, axis: int, window: int, pad: tuple[int, int]) -> jax.Array:
    outputs = (x.shape[axis] + sum(pad) - window) // 2 + 1
    pairs = outputs + (window - 1) // 2
    padding = [(0, 0, 0)] * x.ndim
    padding[axis] = (pad[0], 2 * pairs - x.shape[axis] - pad[0], 0)
    lines = lax.pad(x, jnp.array(-jnp.inf, x.dtype), padding)
    lines = lines.reshape(*x.shape[:axis], pairs, 2, *x.shape[axis + 1 :])

    def line(offset: int) -> jax.Array:
        every_second = lax.index_in_dim(lines, offset % 2, axis + 1, keepdims=False)
        return lax.slice_in_dim(every_second, offset // 2, offset // 2 + outputs, axis=axis)

    return reduce(jnp.maximum, map(line, range(window)))


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

"""jpeg_compression: a baseline JPEG encoder and decoder in integer arithmetic.

Everything that loses information is computed as libjpeg computes it (colour conversion, chroma
halving, the "islow" integer transforms, quantisation, triangular chroma enlargement); entropy
coding loses nothing and is left out. Results therefore equal those of encoding and decoding with
libjpeg(-turbo), which Pillow and OpenCV use.

Reference:
    ITU-T T.81 (JPEG), Annex K for the quantisation tables; Loeffler, Ligtenberg & Moschytz 1989
    for the transform.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbio.corruptions.linear import PRECISION

QUALITY = (25, 18, 15, 10, 7)

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)

# The transform's constants with 13 fractional bits; between its two passes, values keep 2 of them.
_BITS, _PASS_BITS = 13, 2
_F = {
    name: round(value * 2**_BITS)
    for name, value in {
        "0.298": 0.298631336, "0.390": 0.390180644, "0.541": 0.541196100, "0.765": 0.765366865,
        "0.899": 0.899976223, "1.175": 1.175875602, "1.501": 1.501321110, "1.847": 1.847759065,
        "1.961": 1.961570560, "2.053": 2.053119869, "2.562": 2.562915447, "3.072": 3.072711026,
    }.items()
}  # fmt: skip


def quantisation_table(standard: tuple, quality: int) -> np.ndarray:
    """The standard table scaled for a quality of 1 to 100, ``[8, 8]`` int32."""
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.asarray(standard) * percent + 50) // 100, 1, 255).astype(np.int32)


def _shift(x: Array, bits: int) -> Array:
    """Division by 2**bits, rounded."""
    return (x + (1 << (bits - 1))) >> bits


def _forward8(s: Sequence) -> list:
    """8-point DCT of a sequence of integers or integer arrays, times 2**13."""
    t0, t1, t2, t3 = (s[i] + s[7 - i] for i in range(4))
    t7, t6, t5, t4 = (s[i] - s[7 - i] for i in range(4))
    a, b, c, d = t0 + t3, t1 + t2, t1 - t2, t0 - t3
    out0, out4 = (a + b) << _BITS, (a - b) << _BITS
    z = (c + d) * _F["0.541"]
    out2, out6 = z + d * _F["0.765"], z - c * _F["1.847"]
    z1, z2, z3, z4 = t4 + t7, t5 + t6, t4 + t6, t5 + t7
    z5 = (z3 + z4) * _F["1.175"]
    z1, z2 = z1 * -_F["0.899"], z2 * -_F["2.562"]
    z3, z4 = z3 * -_F["1.961"] + z5, z4 * -_F["0.390"] + z5
    out7 = t4 * _F["0.298"] + z1 + z3
    out5 = t5 * _F["2.053"] + z2 + z4
    out3 = t6 * _F["3.072"] + z2 + z3
    out1 = t7 * _F["1.501"] + z1 + z4
    return [out0, out1, out2, out3, out4, out5, out6, out7]


def _inverse8(s: Sequence) -> list:
    """8-point inverse DCT of a sequence of integers or integer arrays, times 2**13."""
    z = (s[2] + s[6]) * _F["0.541"]
    t2, t3 = z - s[6] * _F["1.847"], z + s[2] * _F["0.765"]
    t0, t1 = (s[0] + s[4]) << _BITS, (s[0] - s[4]) << _BITS
    even = [t0 + t3, t1 + t2, t1 - t2, t0 - t3]
    t0, t1, t2, t3 = s[7], s[5], s[3], s[1]
    z1, z2, z3, z4 = t0 + t3, t1 + t2, t0 + t2, t1 + t3
    z5 = (z3 + z4) * _F["1.175"]
    z1, z2 = z1 * -_F["0.899"], z2 * -_F["2.562"]
    z3, z4 = z3 * -_F["1.961"] + z5, z4 * -_F["0.390"] + z5
    odd = [
        t3 * _F["1.501"] + z1 + z4,
        t2 * _F["3.072"] + z2 + z3,
        t1 * _F["2.053"] + z2 + z4,
        t0 * _F["0.298"] + z1 + z3,
    ]
    up = [e + o for e, o in zip(even, odd, strict=True)]
    return up + [e - o for e, o in zip(even, odd, strict=True)][::-1]


def _along_columns(transform: Callable[[list[Array]], list[Array]], x: Array) -> Array:
    """Transforms of runs of 8 along the rows' axis of ``[B, 8n, m]`` int32.

    What else is to be done to each sample belongs into ``transform``: outside, the compiler would
    fuse it into what follows and compute it once for each of the 8 outputs that depend on it.
    """
    samples = x.reshape(x.shape[0], -1, 8, x.shape[2])
    return jnp.stack(transform([samples[:, :, i] for i in range(8)]), 2).reshape(x.shape)


def _along_rows(transform: Callable[[Sequence], list], x: Array) -> Array:
    """Transforms of runs of 8 along the last axis of ``[B, n, 8m]`` float32 integers.

    As a product with the transform's integer matrix. Its rows' absolute sums are below 2**16, so
    for samples within +-2**8 every partial sum is a whole number that float32 represents.
    """
    matrix = np.stack(transform(list(np.eye(8, dtype=np.int64))))  # [out, in]
    width = x.shape[2]
    together = max(n for n in range(1, 9) if width // 8 % n == 0)  # blocks: larger products
    dense = np.kron(np.eye(together), matrix.T).astype(np.float32)
    runs = x.reshape(-1, 8 * together)
    return jnp.matmul(runs, dense, precision=PRECISION).astype(jnp.int32).reshape(x.shape)


def _lossy(plane: Array, table: np.ndarray) -> Array:
    """Transform, quantisation and back of ``[B, 8n, 8m]`` int32 samples in -128..127."""
    width = plane.shape[2]

    def quantised(samples: list[Array]) -> list[Array]:
        return [
            _quantise(_shift(value, _BITS + _PASS_BITS), np.tile(row, width // 8))
            for value, row in zip(_forward8(samples), table, strict=True)
        ]

    x = _shift(_along_rows(_forward8, plane.astype(jnp.float32)), _BITS - _PASS_BITS)
    x = _along_columns(quantised, x)
    x = _along_columns(lambda s: [_shift(v, _BITS - _PASS_BITS) for v in _inverse8(s)], x)
    # Values have up to 16 bits here: the product is exact for their halves.
    high = (x + 128) >> 8
    low = x - (high << 8)
    high, low = (_along_rows(_inverse8, part.astype(jnp.float32)) for part in (high, low))
    return jnp.clip(_shift((high << 8) + low, _BITS + _PASS_BITS + 3), -128, 127)


def _quantise(x: Array, step: np.ndarray) -> Array:
    """Nearest multiple of ``step`` (last axis); ``x`` is 8 times a coefficient, the result is not.

    The quotients stay below 2**11 and the offset keeps them off whole numbers, so that a float32
    product decides as integer division would.
    """
    step = step.reshape(1, 1, -1)
    magnitude = (jnp.abs(x) + 4 * step).astype(jnp.float32) + 0.5
    magnitude = (magnitude * (0.125 / step).astype(np.float32)).astype(jnp.int32)
    return jnp.where(x < 0, -magnitude, magnitude) * step


def _pad(plane: Array, rows: int, columns: int) -> Array:
    pads = ((0, 0), (0, rows - plane.shape[1]), (0, columns - plane.shape[2]))
    return jnp.pad(plane, pads, mode="edge")


def _halve(plane: Array) -> Array:
    """2x2 means; the rounding constant alternates between 1 and 2 along a row."""
    batch, height, width = plane.shape
    half = plane.reshape(batch, height // 2, 2, width // 2, 2).sum((2, 4))
    return (half + jnp.asarray(1 + np.arange(width // 2) % 2, jnp.int32).reshape(1, 1, -1)) >> 2


def _double(plane: Array) -> Array:
    """Twice the size by a triangular filter: weights 9, 3, 3, 1 of 16."""
    above = jnp.concatenate([plane[:, :1], plane[:, :-1]], 1)
    below = jnp.concatenate([plane[:, 1:], plane[:, -1:]], 1)
    rows = jnp.stack([3 * plane + above, 3 * plane + below], 2)
    rows = rows.reshape(plane.shape[0], -1, plane.shape[2])
    before = jnp.concatenate([rows[..., :1], rows[..., :-1]], -1)
    after = jnp.concatenate([rows[..., 1:], rows[..., -1:]], -1)
    both = jnp.stack([(3 * rows + before + 8) >> 4, (3 * rows + after + 7) >> 4], -1)
    return both.reshape(*rows.shape[:2], -1)


def jpeg_compression(x: Array, severity: int) -> Array:
    """Encoded as JPEG and decoded, see :func:`jpeg`."""
    return jpeg(x, QUALITY[severity - 1])


def jpeg(x: Array, quality: int) -> Array:
    """Encoded as JPEG of a quality with 4:2:0 chroma and decoded; input is rounded to whole grey
    levels, ``[B, H, W, 3]`` float32.
    """
    _, height, width, _ = x.shape
    red, green, blue = (jnp.floor(x[..., c] + 0.5).astype(jnp.int32) for c in range(3))
    half = 1 << 15
    luma = ((19595 * red + 38470 * green + 7471 * blue + half) >> 16) - 128
    cb = (-11059 * red - 21709 * green + 32768 * blue + half - 1) >> 16
    cr = (32768 * red - 27439 * green - 5329 * blue + half - 1) >> 16

    def up8(n: int) -> int:
        return -(-n // 8) * 8

    table = quantisation_table(_LUMA, quality)
    luma = _lossy(_pad(luma, up8(height), up8(width)), table)[:, :height, :width] + 128
    table = quantisation_table(_CHROMA, quality)
    # Both chroma planes go as one batch. Columns are repeated before halving, rows of blocks
    # after it: as the encoder does.
    small_h, small_w = -(-height // 2), -(-width // 2)
    chroma = _pad(jnp.concatenate([cb, cr]), 2 * small_h, 2 * up8(small_w))
    chroma = _pad(_halve(chroma), up8(small_h), up8(small_w))
    chroma = _double(_lossy(chroma, table)[:, :small_h, :small_w])[:, :height, :width]
    cb, cr = jnp.split(chroma, 2)
    red = luma + ((91881 * cr + half) >> 16)
    green = luma + ((-22554 * cb - 46802 * cr + half) >> 16)
    blue = luma + ((116130 * cb + half) >> 16)
    return jnp.stack([red, green, blue], -1).astype(jnp.float32)

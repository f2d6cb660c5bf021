"""Responses of a bank of simple and complex cells to images, and the bank's storage format.

A published bank is two dense arrays ``[F, 3, K, K]``, of which two thirds are zeros, and simple
cells never use their second quadrature. Stored here are only the planes that matter, grouped by the
colour channels that they read; the sizes of the groups are the shapes of the arrays:

    ``simple_r``                  planes of the simple cells that read red, ``[K, K, n]``
    ``q0_rg``, ``q1_rg``          quadratures of the complex cells whose q0 reads red and q1 green
    ``order``                     published channel of each cell, cells in the order of the groups

A group without cells has no entry. Maps are computed in the order of the groups; what depends on
the published order (a trained readout, an endpoint, a given noise sample) is permuted instead.

Reference:
    Dapello et al. 2020, "Simulating a Primary Visual Cortex at the Front of CNNs Improves
    Robustness to Image Perturbations", doi:10.1101/2020.06.16.154542.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError

COLOURS = "rgbm"  # behind a retina: its three P cells, and m, its M cell
PAIRS = tuple(a + b for a in COLOURS for b in COLOURS)
BANK_KEYS = (
    *(f"simple_{c}" for c in COLOURS),
    *(f"{q}_{pair}" for pair in PAIRS for q in ("q0", "q1")),
    "order",
)
NOISE_MODES = ("none", "neuronal", "gaussian")

Bank = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Noise:
    """The noise stage of V1.

    ``"neuronal"`` has a variance equal to the mean, like cortical spike counts: with
    ``z = scale * y + level`` it is ``(z + sqrt(relu(z) + 1e-4) * n - level) / scale``.
    ``"gaussian"`` is ``y + scale * n``. n is standard normal.

    Attributes:
        mode: ``"neuronal"`` or ``"gaussian"``.
        scale: see above; above 0.
        level: spontaneous rate added before, and taken off after the ``"neuronal"`` noise.

    Raises:
        InputError: if the mode is unknown or the scale not positive.
    """

    mode: str
    scale: float
    level: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in NOISE_MODES[1:]:
            raise InputError(f"unknown noise_mode {self.mode!r}; valid: {', '.join(NOISE_MODES)}")
        if not self.scale > 0:
            raise InputError(f"noise_scale={self.scale}, must be above 0 with {self.mode} noise")

    def __call__(self, y: jax.Array, normal: jax.Array) -> jax.Array:
        """Adds noise made of a standard-normal sample of ``y``'s shape."""
        if self.mode == "gaussian":
            return y + self.scale * normal
        z = self.scale * y + self.level
        z = z + jnp.sqrt(jax.nn.relu(z) + 1e-4) * normal
        return (z - self.level) / self.scale


@dataclasses.dataclass(frozen=True)
class Normalization:
    """Divisive normalisation by a pool over all cells, here and in the surround.

    ``y = constant a^n / (constant^n + pool)``, where a is a cell's activity and the pool the mean
    of ``a^n`` over the cells of all orientations, frequencies and phases, weighted by a Gaussian
    over space. A cell saturates with contrast; other orientations and a surround suppress it.

    Attributes:
        exponent: n; 1 or more.
        constant: activity of the pool (its n-th root) at which a cell is at half its maximum.
        spread: standard deviation of the Gaussian in units of the distance of cells; above 0.

    Raises:
        InputError: if a value is out of range.

    Reference:
        Heeger 1992, "Normalization of cell responses in cat striate cortex",
        doi:10.1017/S0952523800009640; Carandini and Heeger 2012, "Normalization as a canonical
        neural computation", doi:10.1038/nrn3136.
    """

    exponent: float
    constant: float
    spread: float

    def __post_init__(self) -> None:
        if not (self.exponent >= 1 and self.constant > 0 and self.spread > 0):
            raise InputError(
                f"normalization_exponent={self.exponent}, normalization_constant={self.constant}, "
                f"spread={self.spread}: must be 1 or more, above 0 and above 0"
            )

    def __call__(self, maps: jax.Array) -> jax.Array:
        """Normalises cells' maps ``[..., H', W', F]``, 0 or more."""
        drive = maps**self.exponent
        rows, columns = (self._weights(n) for n in maps.shape[-3:-1])
        pool = jnp.einsum("hi,...iw,vw->...hv", rows, drive.mean(-1), columns)
        return self.constant * drive / (self.constant**self.exponent + pool[..., None])

    def _weights(self, size: int) -> jax.Array:
        """Row i: the Gaussian around i within the map, of sum 1."""
        at = np.arange(size) / self.spread
        weights = np.exp(-((at.reshape(-1, 1) - at) ** 2) / 2)
        return jnp.asarray(weights / weights.sum(1, keepdims=True), jnp.float32)


def bank_to_constants(q0: np.ndarray, q1: np.ndarray, simple_channels: int) -> dict[str, jax.Array]:
    """Packs a dense bank, as PyTorch checkpoints hold it, into groups.

    Args:
        q0: first quadrature, ``[F, 3, K, K]`` (4 channels behind a retina with M cells); each
            filter non-zero in at most one channel.
        q1: second quadrature, likewise; not used of the simple cells.
        simple_channels: how many filters, the first ones, are simple cells.

    Returns:
        The groups, see the module's documentation; kernels float32, ``order`` int32.

    Raises:
        InputError: if the shapes do not fit or a filter reads more than one channel.
    """
    q0, q1 = np.asarray(q0, np.float32), np.asarray(q1, np.float32)
    square = q0.ndim == 4 and q0.shape[1] in (3, 4) and q0.shape[2] == q0.shape[3]
    if not square or q0.shape != q1.shape:
        raise InputError(f"q0 is {q0.shape} and q1 {q1.shape}; both must be [F, 3 or 4, K, K]")
    n = len(q0)
    if not 0 <= simple_channels <= n:
        raise InputError(f"simple_channels={simple_channels}, must lie in [0, {n}]")
    planes, colours = {}, {}
    for name, bank, first in (("q0", q0, 0), ("q1", q1, simple_channels)):
        read = np.any(bank, axis=(2, 3))
        for i in range(first, n):
            if read[i].sum() > 1:
                raise InputError(
                    f"filter {i} of {name} reads {read[i].sum()} colour channels, must read one"
                )
        colours[name] = read.argmax(1)
        planes[name] = np.moveaxis(bank[np.arange(n), colours[name]], 0, -1)

    simple = np.arange(n) < simple_channels
    constants, order = {}, []
    for c, colour in enumerate(COLOURS):
        cells = np.flatnonzero(simple & (colours["q0"] == c))
        order.append(cells)
        constants[f"simple_{colour}"] = planes["q0"][..., cells]
    for pair in PAIRS:
        a, b = (COLOURS.index(c) for c in pair)
        cells = np.flatnonzero(~simple & (colours["q0"] == a) & (colours["q1"] == b))
        order.append(cells)
        for name in ("q0", "q1"):
            constants[f"{name}_{pair}"] = planes[name][..., cells]
    constants["order"] = np.concatenate(order).astype(np.int32)
    return {key: jnp.asarray(value) for key, value in constants.items() if value.size}


def constants_to_bank(constants: Bank) -> tuple[np.ndarray, np.ndarray, int]:
    """Unpacks groups into a dense bank: the inverse of :func:`bank_to_constants`.

    Args:
        constants: the groups.

    Returns:
        q0 and q1 ``[F, 3, K, K]`` float32 (4 channels if the fourth is read) and the number of
        simple cells. q1 of the simple cells, which has no influence and is not stored, is zero.
    """
    order = np.asarray(constants["order"])
    size = next(v.shape[0] for key, v in constants.items() if key != "order")
    channels = 4 if any(key.split("_")[-1].count("m") for key in constants) else 3
    banks = {q: np.zeros((len(order), channels, size, size), np.float32) for q in ("q0", "q1")}
    start = simple_channels = 0
    for group, names in _groups(constants):
        for name, colour in names:
            planes = np.moveaxis(np.asarray(constants[name]), -1, 0)
            cells = order[start : start + len(planes)]
            banks["q1" if name.startswith("q1") else "q0"][cells, COLOURS.index(colour)] = planes
        start += len(planes)
        if group == "simple":
            simple_channels = start
    return banks["q0"], banks["q1"], simple_channels


def v1_response(
    x: jax.Array,
    constants: Bank,
    readout: jax.Array,
    *,
    stride: int = 4,
    k_exc: float = 25.0,
    normalization: Normalization | None = None,
    noise: Noise | None = None,
    source: jax.Array | None = None,
    dtype: Any = jnp.float32,
) -> tuple[jax.Array, jax.Array]:
    """Simple cells ``relu(q0)`` and complex cells ``sqrt((q0² + q1²) / 2)``, noise, ReLU, readout.

    The filters are cross-correlated with the image, padded with ``K // 2`` zeros on every side.

    Args:
        x: images, ``[B, H, W, 3]``, normalised.
        constants: the bank in groups, F cells.
        readout: 1x1 convolution to the output channels, ``[F, O]``, rows in published order.
        stride: distance of neighbouring cells in pixels.
        k_exc: gain of the cells.
        normalization: before the noise, or None.
        noise: the noise stage, or None.
        source: with noise: a random key per image ``[B]``, or the standard-normal sample itself,
            ``[B, H', W', F]`` in published order.
        dtype: dtype of the cells' maps and the readout (float32 or bfloat16).

    Returns:
        The readout's maps ``[B, H', W', O]``, H' = (H + 2 (K // 2) - K) // stride + 1, and the
        cells' maps ``[B, H', W', F]`` in published order. Under jit the permutation behind the
        latter costs nothing unless they are used.

    Example:
        >>> y, v1 = v1_response(images, bank_to_constants(q0, q1, 256), readout)
    """
    order = constants["order"]
    readout = readout[order].astype(dtype)
    if source is not None and not jnp.issubdtype(source.dtype, jax.dtypes.prng_key):
        source = source[..., order]

    def respond(image_or_images: jax.Array, source: Any, filtered: Any) -> Any:
        maps = k_exc * _cells(constants, filtered(image_or_images))
        if normalization is not None:
            maps = normalization(maps)
        if noise is not None:
            if jnp.issubdtype(source.dtype, jax.dtypes.prng_key):
                source = _normal(source, maps.shape)
            maps = jax.nn.relu(noise(maps, source))
        maps = maps.astype(dtype)
        return maps @ readout, maps

    kernels = _kernels_by_colour(constants)

    def plain(x: jax.Array, source: Any) -> Any:
        return respond(x, source, lambda images: _filter(images, kernels, stride, dtype))

    def on_cpu(x: jax.Array, source: Any) -> Any:
        filtered = _spectral_filter(kernels, stride, x.shape[1:3])
        if jax.device_count("cpu") > 1:  # a scan would run over a sharded axis
            return respond(x, source, jax.vmap(filtered))
        # One image at a time, so that the intermediate maps stay in the cache.
        return lax.map(lambda one: respond(*one, filtered), (x, source))  # type: ignore[call-arg]

    y, maps = lax.platform_dependent(x, source, cpu=on_cpu, default=plain)
    return y, maps[..., jnp.argsort(order)]


def _normal(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    if keys.ndim == 0:
        return jax.random.normal(keys, shape)
    return jax.vmap(lambda key: jax.random.normal(key, shape[1:]))(keys)


def _groups(constants: Bank) -> list[tuple[str, list[tuple[str, str]]]]:
    """The groups present, in the order of the cells: kind and (key, colour read) of each array."""
    groups = [("simple", [(f"simple_{c}", c)]) for c in COLOURS]
    groups += [("complex", [(f"q0_{pair}", pair[0]), (f"q1_{pair}", pair[1])]) for pair in PAIRS]
    return [(kind, names) for kind, names in groups if names[0][0] in constants]


def _kernels_by_colour(constants: Bank) -> dict[str, jax.Array]:
    """All planes that read one colour side by side, ``[K, K, n]``."""
    arrays: dict[str, list[jax.Array]] = {}
    for _, names in _groups(constants):
        for name, colour in names:
            arrays.setdefault(colour, []).append(constants[name])
    return {colour: jnp.concatenate(parts, -1) for colour, parts in arrays.items()}


def _cells(constants: Bank, filtered: Mapping[str, jax.Array]) -> jax.Array:
    """Cells' maps ``[..., F]`` in the order of the groups from each colour's filtered maps."""
    used = dict.fromkeys(filtered, 0)
    cells = []
    for kind, names in _groups(constants):
        parts = []
        for name, colour in names:
            start = used[colour]
            used[colour] = stop = start + constants[name].shape[-1]
            parts.append(filtered[colour][..., start:stop])
        if kind == "simple":
            cells.append(jax.nn.relu(parts[0]))
        else:
            # The floor keeps the gradient finite where both quadratures are zero (a black image).
            energy = jnp.square(parts[0]) + jnp.square(parts[1])
            cells.append(jnp.sqrt(jnp.maximum(energy / 2, 1e-30)))
    return jnp.concatenate(cells, -1)


def _filter(
    x: jax.Array, kernels: Mapping[str, jax.Array], stride: int, dtype: Any
) -> dict[str, jax.Array]:
    """Each colour channel of ``[B, H, W, 3]`` through its own planes.

    A strided convolution of one channel becomes one of ``stride²`` channels at stride 1: what
    matrix units are made for.
    """
    side = next(iter(kernels.values())).shape[0]
    taps = -(-side // stride)
    blocks = _phases(x.astype(dtype), side, stride)
    blocks = blocks.transpose(0, 1, 3, 5, 2, 4)  # [B, rows, columns, colour, phase, phase]
    maps = {}
    for colour, kernel in kernels.items():
        spare = (0, taps * stride - side)
        kernel = jnp.pad(kernel.astype(dtype), (spare, spare, (0, 0)))
        kernel = kernel.reshape(taps, stride, taps, stride, -1).transpose(0, 2, 1, 3, 4)
        maps[colour] = lax.conv_general_dilated(
            blocks[:, :, :, COLOURS.index(colour)].reshape(*blocks.shape[:3], stride**2),
            kernel.reshape(taps, taps, stride**2, -1),
            (1, 1),
            "VALID",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        ).astype(jnp.float32)
    return maps


def _phases(x: jax.Array, side: int, stride: int) -> jax.Array:
    """What a strided correlation of ``[..., H, W, C]`` with padding ``side // 2`` reads, in phases.

    ``[..., rows, stride, columns, stride, C]``: with the responses' size and the taps of one phase,
    ``rows = H' + ceil(side / stride) - 1``.
    """
    padding = side // 2
    blocks = [_count(n, side, stride) - 1 - -side // stride for n in x.shape[-3:-1]]
    spare = [(padding, n * stride - padding - have, 0)
             for n, have in zip(blocks, x.shape[-3:-1], strict=True)]  # fmt: skip
    x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0),) * (x.ndim - 3) + (*spare, (0, 0, 0)))
    return x.reshape(*x.shape[:-3], blocks[0], stride, blocks[1], stride, x.shape[-1])


def _count(size: int, side: int, stride: int) -> int:
    """Responses along an axis of an image."""
    return (size + 2 * (side // 2) - side) // stride + 1


def _spectral_filter(
    kernels: Mapping[str, jax.Array], stride: int, size: Sequence[int]
) -> Callable[[jax.Array], dict[str, jax.Array]]:
    """What :func:`_filter` does, for one image, with 2.3 times fewer multiplications at K = 25.

    Rows are split into ``stride`` phases, along which the strided correlation is a dense one of
    ``ceil(K / stride)`` taps. A discrete Fourier transform down the columns turns that into a
    product per frequency; K taps across times ``stride`` phases remain to be summed, by one matrix
    product per frequency. The transforms are matrix products, too. All of it is exact to rounding
    for any kernel: the period is long enough that nothing wraps around.
    """
    side = next(iter(kernels.values())).shape[0]
    padding = side // 2
    height, width = (_count(n, side, stride) for n in size)
    taps = -(-side // stride)
    rows = height + taps - 1  # of one phase
    # Rows in the padding are zero: a period that is shorter by those of one end wraps only zeros.
    length = rows - max(0, min(padding // stride, rows - -(-(padding + size[0]) // stride)))
    count = length // 2 + 1  # frequencies

    def waves(n: int) -> np.ndarray:  # cos and -sin, [count, 2, n]
        angle = 2 * np.pi * np.arange(count).reshape(-1, 1) * np.arange(n) / length
        return np.stack([np.cos(angle), -np.sin(angle)], 1)

    # Correlation is X conj(K): re = XrKr + XiKi, im = XiKr - XrKi.
    analysis = waves(rows)
    rotated: Any = np.stack([analysis, np.stack([analysis[:, 1], -analysis[:, 0]], 1)], 1)
    weight = np.full((count, 1, 1), 2.0)
    weight[0] = 1.0
    if length % 2 == 0:
        weight[-1] = 1.0
    synthesis: Any = waves(height) * weight / length
    rotated, of_kernel, synthesis = (
        jnp.asarray(m, jnp.float32) for m in (rotated, waves(taps), synthesis)
    )
    exact = lax.Precision.HIGHEST

    # Both factors of the product hold the summed axis (part, phase, tap) first, filters last and in
    # multiples of 16: what the CPU's matrix product packs fastest.
    spectra = {}
    for colour, kernel in kernels.items():
        spare = ((0, taps * stride - side), (0, 0), (0, -kernel.shape[-1] % 16))
        kernel = jnp.pad(kernel, spare).reshape(taps, -1)
        spectrum = jnp.matmul(of_kernel.reshape(-1, taps), kernel, precision=exact)
        spectra[colour] = spectrum.reshape(count, 2 * stride * side, -1)

    def filtered(image: jax.Array) -> dict[str, jax.Array]:
        image = _phases(image, side, stride)
        maps = {}
        for colour, spectrum in spectra.items():
            plane = image[..., COLOURS.index(colour)]
            x: Any = jnp.einsum("nsru,upwv->nrpvsw", rotated, plane, precision=exact)
            # Tap k of the columns is at phase v = k % stride, t = k // stride columns on.
            x = [x[:, :, :, : side - t * stride, :, t : t + width] for t in range(taps)]
            x = jnp.concatenate(x, 3).reshape(count, 2 * stride * side, 2 * width)
            y = jnp.einsum("nkm,nkf->nmf", x, spectrum, precision=exact).reshape(2 * count, -1)
            y = jnp.matmul(synthesis.reshape(2 * count, height).T, y, precision=exact)
            maps[colour] = y.reshape(height, width, -1)
        return maps

    return filtered

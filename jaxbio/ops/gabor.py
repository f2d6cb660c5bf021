"""Gabor filter banks sampled from the neurophysiology of the primate primary visual cortex.

Everything here is NumPy in float64: a bank is made once, when a front-end is initialised. The
parameters follow the published front-ends' use of NumPy's legacy random stream, so that a seed
gives the published parameters; the stream is a private one, the global one is neither read nor
moved.

Reference:
    Dapello et al. 2020, "Simulating a Primary Visual Cortex at the Front of CNNs Improves
    Robustness to Image Perturbations", doi:10.1101/2020.06.16.154542.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from jaxbio.errors import InputError

PARAM_MODES = ("neuronal", "uniform")

# Preferred orientation of foveal simple and complex cells (De Valois et al. 1982a).
_ORIENTATION_EDGES = np.array([-22.5, 22.5, 67.5, 112.5, 157.5])
_ORIENTATION_COUNTS = np.array([66.0, 49.0, 77.0, 54.0])
# Preferred spatial frequency in cycles per degree (De Valois et al. 1982b).
_SF_EDGES = np.array([0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0])
_SF_COUNTS = np.array([4.0, 4.0, 8.0, 25.0, 32.0, 26.0, 28.0, 12.0])
# Receptive-field sizes in units of 1/sf, log10 bins: rows nx, columns ny (Ringach 2002b).
_SIZE_EDGES = np.linspace(-1.0, 0.2, 6)
_SIZE_COUNTS = np.array(
    [
        [2.0, 0.0, 1.0, 0.0, 0.0],
        [8.0, 9.0, 4.0, 1.0, 0.0],
        [1.0, 2.0, 19.0, 17.0, 3.0],
        [0.0, 0.0, 1.0, 7.0, 4.0],
        [0.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


class GaborParameters(NamedTuple):
    """Parameters of a bank, each ``[F]`` float64.

    Attributes:
        sf: spatial frequency, cycles per degree.
        theta: orientation, degrees in [0, 180).
        phase: phase, degrees in [0, 360).
        nx: standard deviation of the envelope along the grating's direction, in units of 1/sf.
        ny: the same across it.
    """

    sf: np.ndarray
    theta: np.ndarray
    phase: np.ndarray
    nx: np.ndarray
    ny: np.ndarray


def sample_gabor_parameters(
    features: int,
    *,
    seed: int = 0,
    mode: str = "neuronal",
    sf_corr: float = 0.75,
    sf_max: float = 6.0,
    sf_min: float = 0.0,
) -> GaborParameters:
    """Draws the parameters of ``features`` Gabor filters.

    ``"neuronal"`` draws orientation and frequency from their measured histograms, the frequency and
    nx through a pair of correlated normal variables, and ny from the measured joint histogram given
    nx. ``"uniform"`` draws every parameter alone and evenly: orientation over 180 degrees,
    frequency over the histogram's bins (log-uniform inside each), nx and ny log-uniformly.
    The histogram of frequencies is cut to the bins whose edges lie in ``[sf_min, sf_max]``
    (``uniform``: ``[sf_min, sf_max)``).

    Args:
        features: number of filters, 1 or more.
        seed: of NumPy's legacy generator, 0 .. 2**32 - 1.
        mode: ``"neuronal"`` or ``"uniform"``.
        sf_corr: correlation of frequency and nx on the normal scale, -1 .. 1 (``neuronal`` only).
        sf_max: highest spatial frequency, cycles per degree.
        sf_min: lowest spatial frequency, cycles per degree.

    Returns:
        The parameters.

    Raises:
        InputError: if an argument is out of range or no frequency bin lies in the range.

    Reference:
        De Valois, Yund and Hepler 1982 (orientation), doi:10.1016/0042-6989(82)90112-2; De Valois,
        Albrecht and Thorell 1982 (frequency), doi:10.1016/0042-6989(82)90113-4; Ringach 2002
        (sizes), doi:10.1152/jn.2002.88.1.455; Schiller, Finlay and Volman 1976 (correlation of size
        and frequency), doi:10.1152/jn.1976.39.6.1334.

    Example:
        >>> sample_gabor_parameters(512, sf_max=9).sf.max() <= 8
        True
    """
    if features < 1:
        raise InputError(f"features={features}, must be 1 or more")
    if mode not in PARAM_MODES:
        raise InputError(f"unknown param_mode {mode!r}; valid: {', '.join(PARAM_MODES)}")
    if not -1 <= sf_corr <= 1:
        raise InputError(f"sf_corr={sf_corr}, must lie in [-1, 1]")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed={seed}, must lie in [0, 2**32)")
    neuronal = mode == "neuronal"
    below = sf_max >= _SF_EDGES if neuronal else sf_max > _SF_EDGES
    kept = np.flatnonzero((sf_min <= _SF_EDGES) & below)
    if len(kept) < 2:
        edges = ", ".join(f"{edge:g}" for edge in _SF_EDGES)
        raise InputError(
            f"no frequency bin between sf_min={sf_min} and sf_max={sf_max} cycles per degree; "
            f"the bins' edges are {edges}"
        )
    sf_edges = np.log2(_SF_EDGES[kept])
    sf_counts = _SF_COUNTS[kept[:-1]]

    # The order of the draws is part of the published definition.
    stream = np.random.RandomState(seed)
    phase = stream.random_sample(features) * 360
    u_theta = stream.random_sample(features)
    if not neuronal:
        u_sf, u_nx, u_ny = (stream.random_sample(features) for _ in range(3))
        return GaborParameters(
            sf=2 ** _quantile(u_sf, np.ones_like(sf_counts), sf_edges),
            theta=u_theta * 180,
            phase=phase,
            nx=10 ** _quantile(u_nx, np.ones(5), _SIZE_EDGES),
            ny=10 ** _quantile(u_ny, np.ones(5), _SIZE_EDGES),
        )
    theta = _quantile(u_theta, _ORIENTATION_COUNTS, _ORIENTATION_EDGES)
    u_nx, u_sf = ndtr(_correlated_normals(stream, features, sf_corr)).T
    u_ny = stream.random_sample(features)
    nx = _quantile(u_nx, _SIZE_COUNTS.sum(1), _SIZE_EDGES)
    row = np.clip(np.searchsorted(_SIZE_EDGES, nx) - 1, 0, 3)  # no cell was seen in the last row
    ny = np.empty_like(nx)
    for r in range(4):
        ny[row == r] = _quantile(u_ny[row == r], _SIZE_COUNTS[r], _SIZE_EDGES)
    return GaborParameters(
        sf=2 ** _quantile(u_sf, sf_counts, sf_edges),
        theta=np.where(theta < 0, theta + 180, theta),
        phase=phase,
        nx=10**nx,
        ny=10**ny,
    )


def gabor_kernels(
    parameters: GaborParameters, *, pixels_per_degree: float, kernel_size: int, quadrature: int = 0
) -> np.ndarray:
    """Samples Gabor filters on a pixel grid.

    With x the row offset and y the column offset from the centre, ``rx = x cos + y sin`` and
    ``ry = -x sin + y cos``, a filter is ``exp(-(rx²/sx² + ry²/sy²) / 2) / (2 pi sx sy) *
    cos(2 pi f rx + phase)``, f in cycles per pixel, sx = nx / f, sy = ny / f. There is neither mean
    subtraction nor normalisation.

    Args:
        parameters: of F filters.
        pixels_per_degree: image size over field of view, above 0.
        kernel_size: side of the square kernel in pixels, odd.
        quadrature: 0, or 1 to add 90 degrees to the phase.

    Returns:
        ``[F, kernel_size, kernel_size]`` float32.

    Raises:
        InputError: if a size is out of range.
    """
    if not pixels_per_degree > 0:
        raise InputError(f"pixels_per_degree={pixels_per_degree}, must be above 0")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise InputError(f"kernel_size={kernel_size}, must be odd and positive")
    column = (-1, 1, 1)
    f = (parameters.sf / pixels_per_degree).reshape(column)
    sx, sy = parameters.nx.reshape(column) / f, parameters.ny.reshape(column) / f
    theta = np.deg2rad(parameters.theta).reshape(column)
    phase = np.deg2rad(parameters.phase).reshape(column) + quadrature * np.pi / 2
    offset = np.arange(kernel_size) - kernel_size // 2
    x, y = offset.reshape(1, -1, 1), offset.reshape(1, 1, -1)
    rx = x * np.cos(theta) + y * np.sin(theta)
    ry = -x * np.sin(theta) + y * np.cos(theta)
    envelope = np.exp(-((rx / sx) ** 2 + (ry / sy) ** 2) / 2) / (2 * np.pi * sx * sy)
    return (envelope * np.cos(2 * np.pi * f * rx + phase)).astype(np.float32)


def draw_colours(
    features: int, *, seed: int = 0, same_color: bool = False, channels: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Draws the colour channel that each filter reads, for both quadratures.

    Args:
        features: number of filters.
        seed: of the draw.
        same_color: whether both quadratures of a filter read one channel. In the published networks
            they do not: two lists are drawn, and two thirds of the complex cells mix two colours.
        channels: how many there are.

    Returns:
        Channels, from 0, of the q0 and of the q1 filters, each ``[features]``.
    """
    rng = np.random.default_rng(seed)
    q0 = rng.integers(0, channels, features)
    return q0, q0 if same_color else rng.integers(0, channels, features)


def gabor_bank(
    parameters: GaborParameters,
    colours: tuple[np.ndarray, np.ndarray],
    *,
    pixels_per_degree: float,
    kernel_size: int,
    channels: int = 3,
) -> tuple[np.ndarray, np.ndarray]:
    """Both quadratures of a bank, in the layout of the published checkpoints.

    Args:
        parameters: of F filters.
        colours: channel of each q0 and each q1 filter, each ``[F]``.
        pixels_per_degree: see :func:`gabor_kernels`.
        kernel_size: see :func:`gabor_kernels`.
        channels: colour channels of the input, C.

    Returns:
        q0 and q1, ``[F, C, kernel_size, kernel_size]`` float32, zero but for one channel each.
    """
    banks = []
    for quadrature, colour in enumerate(colours):
        planes = gabor_kernels(
            parameters,
            pixels_per_degree=pixels_per_degree,
            kernel_size=kernel_size,
            quadrature=quadrature,
        )
        bank = np.zeros((len(planes), channels, kernel_size, kernel_size), np.float32)
        bank[np.arange(len(planes)), colour] = planes
        banks.append(bank)
    return banks[0], banks[1]


def _quantile(u: np.ndarray, counts: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Quantiles at ``u`` of the distribution that is even within each bin of a histogram."""
    shares = counts / counts.sum()
    return np.interp(u, np.concatenate([[0.0], shares.cumsum()]), edges)


def _correlated_normals(stream: np.random.RandomState, n: int, corr: float) -> np.ndarray:
    """``stream.multivariate_normal`` of two unit variables, ``[n, 2]``.

    NumPy takes the factor of the covariance from LAPACK's SVD, whose signs are a matter of the
    build. Here it is written out, with the signs behind the published vectors.
    """
    normals = stream.standard_normal((n, 2))
    if corr == 0:
        return normals
    sign = np.sign(corr)
    scales = np.sqrt([[1 + abs(corr)], [1 - abs(corr)]])
    return normals @ (scales * np.array([[-1.0, -sign], [-sign, 1.0]]) / np.sqrt(2))

"""Tuning curves: response to a drifting grating, smoothing, interpolation, widths.

All of it works on many units at once, float64. A cubic spline through all points (``s = 0``) is
linear in the points, so smoothing and interpolating is one matrix, made once for an axis.
"""

import functools
import math

import numpy as np
from scipy.interpolate import make_interp_spline

THRESHOLD = 0.707  # of the maximum: where a curve's width is measured


def drift_components(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and first harmonic over the phases of a drifting grating.

    Args:
        responses: ``[..., P]``, P phases that divide the cycle evenly.

    Returns:
        DC, the mean, and AC, ``2 |first Fourier coefficient| / P``, each ``[...]``.
    """
    phases = responses.shape[-1]
    angle = 2 * np.pi * np.arange(phases) / phases
    basis = np.stack([np.ones(phases), 2 * np.cos(angle), 2 * np.sin(angle)], 1) / phases
    parts = responses.astype(np.float64, copy=False) @ basis
    return parts[..., 0], np.hypot(parts[..., 1], parts[..., 2])


def best_condition(responses: np.ndarray) -> tuple[np.ndarray, ...]:
    """Indices, one array ``[N]`` per axis, of the first maximum of each of N units' responses."""
    flat = responses.reshape(len(responses), math.prod(responses.shape[1:]))
    return np.unravel_index(flat.argmax(1), responses.shape[1:])


def circular_variance(curves: np.ndarray, orientations: np.ndarray) -> np.ndarray:
    """``1 - |sum r exp(2 i o)| / sum |r|`` of curves ``[N, O]`` over orientations in degrees."""
    resultant = curves @ np.exp(2j * np.deg2rad(orientations))
    return 1 - np.abs(resultant) / np.abs(curves).sum(1)


class OrientationTuning:
    """Orientation curves, continued periodically, smoothed, and read at every degree.

    Args:
        curves: ``[N, O]``, responses at ``orientations``.
        orientations: ``[O]``, degrees in [0, 180), increasing.
        smoothing: weight of either neighbour in the smoothing kernel, whose centre has weight 1.

    Attributes:
        curves: ``[N, 540]``, at -180, -179, ... 359 degrees.
        preferred: ``[N]``, the first maximum within 0..179 degrees.
    """

    def __init__(self, curves: np.ndarray, orientations: np.ndarray, smoothing: float):
        self.curves = curves @ _orientation_matrix(tuple(orientations.tolist()), smoothing).T
        self.preferred = self.curves[:, 180:360].argmax(1)

    def full_width(self) -> np.ndarray:
        """Degrees between the points where the curve has fallen to .707 of its maximum, ``[N]``.

        NaN where it does not fall so far on both sides, or the width exceeds 180 degrees.
        """
        left, right = _flanks(self.curves, self.preferred + 180)
        width = np.where((left < 0) | (right < 0), np.nan, right - left)
        return np.where(width > 180, np.nan, width)


class FrequencyTuning:
    """Curves over spatial frequency, smoothed, and read at 100 points even on the log axis.

    Args:
        curves: ``[N, F]``, responses at ``frequencies``.
        frequencies: ``[F]``, cycles per degree, increasing.

    Attributes:
        curves: ``[N, 100]``.
        frequencies: ``[100]``, cycles per degree.
        peak: ``[N]``, cycles per degree at the first maximum.
    """

    def __init__(self, curves: np.ndarray, frequencies: np.ndarray):
        matrix, octaves = _frequency_matrix(tuple(frequencies.tolist()))
        self.curves = curves @ matrix.T
        self.frequencies = 2**octaves
        self._best = self.curves.argmax(1)
        self.peak = self.frequencies[self._best]

    def bandwidth(self) -> np.ndarray:
        """100 times lower over upper frequency at .707 of the maximum, ``[N]``; NaN without one."""
        left, right = _flanks(self.curves, self._best)
        ratio = 100 * self.frequencies[left] / self.frequencies[right]
        return np.where((left < 0) | (right < 0), np.nan, ratio)


def _flanks(curves: np.ndarray, best: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest indices left and right of the best at or below .707 of its value; -1 where none."""
    index = np.arange(curves.shape[1]).reshape(1, -1)
    best = best.reshape(-1, 1)
    below = curves <= THRESHOLD * np.take_along_axis(curves, best, 1)
    left = np.where(below & (index < best), index, -1).max(1)
    right = np.where(below & (index > best), index, curves.shape[1]).min(1)
    return left, np.where(right == curves.shape[1], -1, right)


@functools.lru_cache(maxsize=16)
def _orientation_matrix(orientations: tuple[float, ...], smoothing: float) -> np.ndarray:
    n = len(orientations)
    extended = np.concatenate([np.array(orientations) + turn for turn in (-180, 0, 180)])
    smooth = _band(3 * n, smoothing) @ np.tile(np.eye(n), (3, 1))
    return make_interp_spline(extended, smooth, k=3)(np.arange(-180.0, 360.0))


@functools.lru_cache(maxsize=16)
def _frequency_matrix(frequencies: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    n = len(frequencies)
    padded = np.eye(n)[np.clip(np.arange(-2, n + 2), 0, n - 1)]
    smooth = (_band(n + 4, 0.2) @ padded)[2:-2]
    octaves = np.log2(frequencies)
    at = np.linspace(octaves[0], octaves[-1], 100)
    return make_interp_spline(octaves, smooth, k=3)(at), at


def _band(n: int, neighbour: float) -> np.ndarray:
    """Convolution with ``(neighbour, 1, neighbour)``, normalised, zeros beyond the ends."""
    return (np.eye(n) + neighbour * (np.eye(n, k=1) + np.eye(n, k=-1))) / (1 + 2 * neighbour)

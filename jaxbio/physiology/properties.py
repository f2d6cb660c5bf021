"""Properties of single units, defined as in the studies of macaque V1 that measured them.

Each study takes firing rates (spikes/s) of N units and their rate at the blank screen, and returns
what it would have measured of the units that it would have recorded. What is undefined for a unit
is NaN: a bandwidth where the curve never falls, a surround where nothing is suppressed.

Definitions and thresholds: Marques, Schrimpf and DiCarlo 2021, doi:10.1101/2021.03.01.433495.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxbio.physiology.protocol import ORIENTATIONS, RADII, SPATIAL_FREQUENCIES
from jaxbio.physiology.tuning import (
    FrequencyTuning,
    OrientationTuning,
    best_condition,
    circular_variance,
    drift_components,
)

MIN_RATE = 5.0  # spikes/s above the blank screen, below which a unit is not recorded

# Names as in the published program.
_Values = dict[str, np.ndarray]


class Study(NamedTuple):
    """What a study measured.

    Attributes:
        recorded: ``[N]`` bool, which of the units.
        values: property to ``[R]`` float64, one value for each recorded unit, in their order.
    """

    recorded: np.ndarray
    values: dict[str, np.ndarray]


def _study(measure: Callable[..., tuple[np.ndarray, _Values]]) -> Callable[..., Study]:
    def study(responses: np.ndarray, baseline: np.ndarray, *args: Any, **kwargs: Any) -> Study:
        # 0 / 0 is how an undefined property becomes NaN.
        with np.errstate(divide="ignore", invalid="ignore"):
            responses = np.asarray(responses, np.float64)
            recorded, values = measure(responses, np.asarray(baseline).ravel(), *args, **kwargs)
        return Study(recorded, {name: value[recorded] for name, value in values.items()})

    study.__doc__, study.__name__ = measure.__doc__, measure.__name__
    return study


@_study
def devalois1982a(
    responses: np.ndarray, baseline: np.ndarray, orientations: np.ndarray = ORIENTATIONS
) -> tuple[np.ndarray, _Values]:
    """Preferred orientation, -22..157 degrees.

    Args:
        responses: ``[N, cycles, frequencies, O, phases]``.
        baseline: ``[N]``, at the blank screen.
        orientations: ``[O]``, degrees.

    Returns:
        The study: ``preferred_orientation``.

    Reference:
        De Valois, Yund and Hepler 1982, doi:10.1016/0042-6989(82)90112-2.
    """
    dc, _ = drift_components(responses)
    curve, best = _orientation_curve(dc)
    preferred = OrientationTuning(curve, orientations, 0.2).preferred.astype(np.float64)
    preferred = np.where(preferred >= 157.5, preferred - 180, preferred)
    return best > baseline + MIN_RATE, {"preferred_orientation": preferred}


@_study
def ringach2002(
    responses: np.ndarray, baseline: np.ndarray, orientations: np.ndarray = ORIENTATIONS
) -> tuple[np.ndarray, _Values]:
    """Rates, modulation, and how sharply orientation is tuned.

    Args:
        responses: ``[N, cycles, frequencies, O, phases]``.
        baseline: ``[N]``, at the blank screen.
        orientations: ``[O]``, degrees, evenly over 180.

    Returns:
        The study: ``baseline``, ``max_dc``, ``min_dc``, ``max_ac`` (spikes/s), ``modulation_ratio``
        (0..2; above 1: simple cell), ``circular_variance`` (0..1), ``bandwidth`` (half width,
        degrees), ``orthogonal_preferred_ratio``, ``orientation_selective`` (0 or 1), and two ratios
        and a difference of those.

    Reference:
        Ringach, Shapley and Hawken 2002, doi:10.1523/JNEUROSCI.22-13-05639.2002.
    """
    dc, ac = drift_components(responses)
    curve, max_dc = _orientation_curve(dc)
    unit = np.arange(len(dc))
    preferred = curve.argmax(1)
    variance = circular_variance(curve, orientations)
    bandwidth = OrientationTuning(curve, orientations, 0.4).full_width() / 2
    orthogonal = curve[unit, (preferred + len(orientations) // 2) % len(orientations)]
    max_ac = ac[unit, *best_condition(dc)]
    ratio = orthogonal / max_dc
    return max_dc > baseline + MIN_RATE, {
        "baseline": baseline,
        "max_dc": max_dc,
        "min_dc": curve.min(1),
        "max_ac": max_ac,
        "modulation_ratio": max_ac / max_dc,
        "circular_variance": variance,
        "bandwidth": bandwidth,
        "orthogonal_preferred_ratio": ratio,
        "orientation_selective": (~np.isnan(bandwidth)).astype(np.float64),
        "circular_variance_bandwidth_ratio": variance / bandwidth,
        "orthogonal_preferred_ratio_circular_variance_difference": ratio - variance,
        "orthogonal_preferred_ratio_bandwidth_ratio": ratio / bandwidth,
    }


@_study
def devalois1982b(
    responses: np.ndarray, baseline: np.ndarray, frequencies: np.ndarray = SPATIAL_FREQUENCIES
) -> tuple[np.ndarray, _Values]:
    """Peak spatial frequency of the stronger of DC and AC.

    Args:
        responses: ``[N, radii, F, orientations, phases]``.
        baseline: ``[N]``, at the blank screen.
        frequencies: ``[F]``, cycles per degree.

    Returns:
        The study: ``peak_spatial_frequency``, cycles per degree.

    Reference:
        De Valois, Albrecht and Thorell 1982, doi:10.1016/0042-6989(82)90113-4.
    """
    driven = _driven(responses, baseline)
    radius, _, orientation, component = best_condition(driven)
    curve = driven[np.arange(len(driven)), radius, :, orientation, component]
    return curve.max(1) > MIN_RATE, {
        "peak_spatial_frequency": FrequencyTuning(curve, frequencies).peak
    }


@_study
def schiller1976(
    responses: np.ndarray, baseline: np.ndarray, frequencies: np.ndarray = SPATIAL_FREQUENCIES
) -> tuple[np.ndarray, _Values]:
    """Selectivity for spatial frequency.

    Args:
        responses: ``[N, radii, F, orientations, phases]``.
        baseline: ``[N]``, at the blank screen.
        frequencies: ``[F]``, cycles per degree.

    Returns:
        The study: ``spatial_frequency_selective`` (0 or 1) and ``spatial_frequency_bandwidth``
        (100 times lower over upper frequency).

    Reference:
        Schiller, Finlay and Volman 1976, doi:10.1152/jn.1976.39.6.1334.
    """
    dc, _ = drift_components(responses)
    radius, _, orientation = best_condition(dc)
    curve = dc[np.arange(len(dc)), radius, :, orientation]
    bandwidth = FrequencyTuning(curve, frequencies).bandwidth()
    return curve.max(1) > baseline + MIN_RATE, {
        "spatial_frequency_selective": (~np.isnan(bandwidth)).astype(np.float64),
        "spatial_frequency_bandwidth": bandwidth,
    }


@_study
def cavanaugh2002(
    responses: np.ndarray, baseline: np.ndarray, radii: np.ndarray = RADII
) -> tuple[np.ndarray, _Values]:
    """Size tuning: summation, and suppression by the surround.

    Args:
        responses: ``[N, R, frequencies, orientations, phases]``.
        baseline: ``[N]``, at the blank screen.
        radii: ``[R]``, degrees, increasing.

    Returns:
        The study: ``surround_suppression_index`` (share of the peak that the largest grating
        loses), ``strongly_suppressed`` (0 or 1), ``grating_summation_field`` and
        ``surround_diameter`` (degrees) and their ratio.

    Reference:
        Cavanaugh, Bair and Movshon 2002, doi:10.1152/jn.00692.2001.
    """
    driven = _driven(responses, baseline)
    best, frequency, orientation, component = best_condition(driven)
    curve = driven[np.arange(len(driven)), :, frequency, orientation, component]
    peak, last = curve.max(1), curve[:, -1]
    index = (peak - last) / peak
    has_surround = (peak > 0) & (index > 0.1)

    def diameter(condition: np.ndarray) -> np.ndarray:  # of the first size that fulfils it
        return np.where(has_surround, 2 * radii[condition.argmax(1)], np.nan)

    summation = diameter(curve >= 0.95 * peak.reshape(-1, 1))
    silenced = curve <= (last + 0.05 * np.abs(last)).reshape(-1, 1)
    surround = diameter(silenced & (np.arange(len(radii)) > best.reshape(-1, 1)))
    return peak > MIN_RATE, {
        "surround_suppression_index": index,
        "strongly_suppressed": (index >= 0.1).astype(np.float64),
        "grating_summation_field": summation,
        "surround_diameter": surround,
        "surround_grating_summation_field_ratio": surround / summation,
    }


@_study
def freemanziemba2013(responses: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, _Values]:
    """Naturalistic textures against noise of the same spectrum.

    Args:
        responses: ``[N, 2, families, samples]``, noise first, then texture.
        baseline: ``[N]``, at the blank screen.

    Returns:
        The study: modulation index and its magnitude, selectivity (over families) and sparseness
        (over all pictures) of either kind, variance ratio and the shares of families and samples,
        largest rates above the blank's.

    Reference:
        Freeman, Ziemba, Heeger, Simoncelli and Movshon 2013, doi:10.1038/nn.3402.
    """
    counts = responses / 10
    stable = np.sqrt(counts) + np.sqrt(counts + 1)  # a variance that does not depend on the mean
    responses = responses - baseline.reshape(-1, 1, 1, 1)
    noise, texture = responses[:, 0], responses[:, 1]
    by_family = responses.mean(3)
    modulation = (by_family[:, 1] - by_family[:, 0]) / (by_family[:, 1] + by_family[:, 0])
    defined = ~np.isnan(modulation)
    modulation = np.where(defined, modulation, 0).sum(1) / defined.sum(1)
    family_share, sample_share = _nested_shares(stable[:, 1])
    max_texture, max_noise = texture.max((1, 2)), noise.max((1, 2))
    return np.maximum(max_texture, max_noise) > MIN_RATE, {
        "texture_modulation_index": modulation,
        "absolute_texture_modulation_index": np.abs(modulation),
        "texture_selectivity": _sparseness(by_family[:, 1]),
        "noise_selectivity": _sparseness(by_family[:, 0]),
        "texture_sparseness": _sparseness(texture),
        "noise_sparseness": _sparseness(noise),
        "variance_ratio": (family_share + 0.02) / (sample_share + 0.02),
        "sample_variance": sample_share,
        "family_variance": family_share,
        "max_texture": max_texture,
        "max_noise": max_noise,
    }


# Study to what it measures, and the stimulus set that it needs.
STUDIES: dict[str, tuple[Callable[..., Study], str]] = {
    "devalois1982a": (devalois1982a, "orientation"),
    "ringach2002": (ringach2002, "orientation"),
    "devalois1982b": (devalois1982b, "spatial_frequency"),
    "schiller1976": (schiller1976, "spatial_frequency"),
    "cavanaugh2002": (cavanaugh2002, "size"),
    "freemanziemba2013": (freemanziemba2013, "texture"),
}


def _orientation_curve(dc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curve ``[N, O]`` at the best width and frequency of ``[N, cycles, F, O]``, and its peak."""
    cycles, frequency, _ = best_condition(dc)
    curve = dc[np.arange(len(dc)), cycles, frequency]
    return curve, curve.max(1)


def _driven(responses: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """DC above the blank's rate and AC, on a new last axis."""
    dc, ac = drift_components(responses)
    return np.stack([dc - baseline.reshape(-1, *(1,) * (dc.ndim - 1)), ac], -1)


def _sparseness(responses: np.ndarray) -> np.ndarray:
    """``(1 - mean(r)^2 / mean(r^2)) / (1 - 1/n)`` over all but the first axis."""
    axes = tuple(range(1, responses.ndim))
    share = responses.mean(axes) ** 2 / (responses**2).mean(axes)
    return (1 - share) / (1 - 1 / math.prod(responses.shape[1:]))


def _nested_shares(responses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of families and of samples in the variance of ``[N, families, samples]``."""
    _, families, samples = responses.shape
    means = responses.mean(2)
    within = ((responses - means[:, :, None]) ** 2).sum((1, 2)) / (families * (samples - 1))
    between = samples * ((means - means.mean(1, keepdims=True)) ** 2).sum(1) / (families - 1)
    of_family = (between - within) / samples
    return of_family / (of_family + within), within / (of_family + within)

"""The published sets of gratings with which models are probed as monkeys are.

Reference:
    Marques, Schrimpf and DiCarlo 2021, "Multi-scale hierarchical neural network models that bridge
    from single neurons in the primate primary visual cortex to object recognition behavior",
    doi:10.1101/2021.03.01.433495.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

PIXELS_PER_DEGREE = 56  # of the published pictures: 672 pixels for 12 degrees
CENTRE = (0.5, 0.5)  # y, x of the published probes but the map of receptive fields, degrees

RADII = 2 ** np.linspace(-2.25, 3.25, 12) / 2  # degrees
SPATIAL_FREQUENCIES = 2 ** np.linspace(-1.375, 3.875, 22)  # cycles per degree
ORIENTATIONS = np.arange(0, 180, 15.0)  # degrees
PHASES = np.arange(0, 360, 45.0)  # degrees
POSITIONS = np.linspace(-2.5, 2.5, 21)  # of the receptive-field map, either axis, degrees

_PROBED_FREQUENCIES = SPATIAL_FREQUENCIES[[4, 8, 12, 16]]


class StimulusSet(NamedTuple):
    """Gratings as a full factorial design.

    Attributes:
        parameters: ``[N, 7]`` float64, columns as in ``stimuli.FIELDS``.
        shape: how many levels each factor has, the slowest first; their product is N.
    """

    parameters: np.ndarray
    shape: tuple[int, ...]


def receptive_field_set() -> StimulusSet:
    """Small gratings all over the field: y, x, orientation, phase."""
    rows = [
        (y, x, 1.0, 1 / 6, 3.0, orientation, phase)
        for y, x, orientation, phase in itertools.product(
            POSITIONS, POSITIONS, (0, 45, 90, 135), (0, 180)
        )
    ]
    return StimulusSet(np.array(rows), (len(POSITIONS), len(POSITIONS), 4, 2))


def orientation_set(centre: tuple[float, float] = CENTRE) -> StimulusSet:
    """Gratings 2, 3 and 4 cycles wide at a place (y, x): cycles, frequency, orientation, phase."""
    sizes = [(m / 2 / f, f) for m in (2, 3, 4) for f in _PROBED_FREQUENCIES]
    rows = [
        (*centre, 1.0, radius, f, orientation, phase)
        for (radius, f), orientation, phase in itertools.product(sizes, ORIENTATIONS, PHASES)
    ]
    return StimulusSet(
        np.array(rows), (3, len(_PROBED_FREQUENCIES), len(ORIENTATIONS), len(PHASES))
    )


def spatial_frequency_set(centre: tuple[float, float] = CENTRE) -> StimulusSet:
    """All frequencies in two sizes: radius, frequency, orientation, phase."""
    return _centred(centre, (0.75, 2.25), SPATIAL_FREQUENCIES, ORIENTATIONS[::2])


def size_set(centre: tuple[float, float] = CENTRE) -> StimulusSet:
    """All sizes at four frequencies: radius, frequency, orientation, phase."""
    return _centred(centre, RADII, _PROBED_FREQUENCIES, ORIENTATIONS[::2])


SETS = {
    "orientation": orientation_set,
    "spatial_frequency": spatial_frequency_set,
    "size": size_set,
}


def _centred(
    centre: tuple[float, float],
    radii: Sequence[float] | np.ndarray,
    frequencies: np.ndarray,
    orientations: np.ndarray,
) -> StimulusSet:
    factors = (radii, frequencies, orientations, PHASES)
    rows = [(*centre, 1.0, *levels) for levels in itertools.product(*factors)]
    return StimulusSet(np.array(rows), tuple(len(factor) for factor in factors))

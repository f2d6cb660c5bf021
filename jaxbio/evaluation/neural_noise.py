"""The noise of recordings, for measures that give a model noise like the brain's."""

import numpy as np

from jaxbio.similarity import CADIEU_IT, NeuralNoise

_FEWEST = 2  # presentations from which a standard deviation can be estimated


def recordings_noise(presentations: np.ndarray | None) -> NeuralNoise:
    """Noise parameters of recordings.

    Where single presentations are known, the standard deviation over them is fitted, by least
    squares over all stimuli and neuroids, as a line ``a x + b`` of the mean response x; T is their
    number. Otherwise the published parameters of Cadieu's multi-unit sites are taken.

    Args:
      presentations: responses ``[R, S, N]``, or None.
    """
    if presentations is None or len(presentations) < _FEWEST:
        return CADIEU_IT
    mean = presentations.mean(axis=0, dtype=np.float64).ravel()
    deviation = presentations.std(axis=0, ddof=1, dtype=np.float64).ravel()
    if np.ptp(mean) == 0:
        return CADIEU_IT
    slope, offset = np.polyfit(mean, deviation, 1)
    return NeuralNoise(float(slope), float(offset), float(len(presentations)))

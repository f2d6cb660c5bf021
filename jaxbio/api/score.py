"""How well features predict, or resemble, recordings: any measure of similarity, in one line."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxbio.errors import InputError, suggest
from jaxbio.measures.brain import Brain, brains
from jaxbio.measures.scores import MEASURES, choose_measures
from jaxbio.neural import Recordings, open_recordings
from jaxbio.neural.npz import check_npy
from jaxbio.neural.recordings import StimulusSet


@dataclasses.dataclass(frozen=True)
class NeuralScore:
    """How alike features and recordings are.

    Attributes:
        score: of the measure; of regressions the median over neurons, mean over splits.
        low: lower end of the 95 % interval.
        high: upper end.
        ceiling: lower and upper bound of what the best model would score; None where single
            presentations or subjects are not known.
        ceiled: share of the explainable variance, ``score ** 2 / ceiling``, of regressions with a
            ceiling; else None.
        per_neuron: ``[N]`` Pearson's r of prediction and response, of regressions; else None.
    """

    score: float
    low: float
    high: float
    ceiling: tuple[float, float] | None
    ceiled: float | None
    per_neuron: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        text = f"{self.score:.3f} [{self.low:.3f}, {self.high:.3f}]"
        if self.ceiling is None:
            return f"{text}, ceiling unknown"
        lower, upper = self.ceiling
        return f"{text}, ceiling {lower:.3f}" + (f" to {upper:.3f}" if upper > lower else "")


def score(
    features: Any,
    recordings: Any,
    measure: str = "ridge",
    *,
    region: str | None = None,
    stimuli: str | Path | None = None,
    seed: int = 0,
) -> Any:
    """Scores features against neural recordings of the same images in the same order.

    Args:
        features: ``[n, ...]`` for n images, or a dict of such arrays by layer, as ``features`` of a
            run or model gives; the further axes of an image are taken as one pattern.
        recordings: responses ``[n, neurons]``, or ``[neurons, n]`` where n tells, or single
            presentations ``[R, n, neurons]``, which give a ceiling: as an array or an ``.npy``; or
            any file that :func:`jaxbio.neural.open_recordings` knows, or what it returns.
        measure: ridge, ridge-cv, pls, linear, one-to-one (cross-validated predictions, Pearson's r
            per neuron), rsa (Spearman), cka, or sit and svm, which need several images per object.
        region: part of the recordings, of files.
        stimuli: what was shown, of files that do not say.
        seed: of random draws.

    Returns:
        A :class:`NeuralScore`; a dict of them by layer where ``features`` is a dict.

    Raises:
        InputError: an unknown measure, or one that the recordings do not allow; shapes that do not
            fit; NaN.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(40, 12))
        >>> neurons = features @ rng.normal(size=(12, 6)) + rng.normal(size=(3, 40, 6)) / 2
        >>> found = jaxbio.score(features, neurons, "ridge")  # 3 presentations of 40 images
        >>> found.score > 0.8, found.per_neuron.shape, found.ceiling is not None
        (True, (6,), True)
    """
    layers = dict(features) if isinstance(features, Mapping) else {"features": features}
    if not layers:
        raise InputError("features is empty: give at least one layer")
    if measure not in MEASURES:
        raise InputError(f"measure='{measure}': {suggest(measure, MEASURES, 'use one of')}")
    patterns = {name: _patterns(values, name) for name, values in layers.items()}
    counts = {len(values) for values in patterns.values()}
    if len(counts) > 1:
        raise InputError(f"the layers have {sorted(counts)} images: give the same images to all")
    brain = _brain(recordings, counts.pop(), region, stimuli, seed)
    choose_measures([measure], brain)
    limits = MEASURES[measure].ceiling(brain)
    ceiling = None if limits is None else (limits.low, limits.high)
    found = {
        name: NeuralScore(s.value, s.low, s.high, ceiling, s.ceiled, s.per_neuron)
        for name, s in MEASURES[measure].score(brain, patterns).items()
    }
    return found if isinstance(features, Mapping) else found["features"]


def _patterns(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values, np.float32)
    if array.ndim < 2:
        raise InputError(f"{name} has shape {array.shape}: give [images, ...]")
    return array.reshape(len(array), -1)


def _brain(recordings: Any, n: int, region: Any, stimuli: Any, seed: int) -> Brain:
    if isinstance(recordings, str | Path):
        path = Path(recordings)
        if path.suffix == ".npy" and stimuli is None:
            recordings = _from_array(_read(path), n, path.stem)
        else:
            recordings = open_recordings(recordings, region=region, stimuli=stimuli)
    elif not isinstance(recordings, Recordings):
        recordings = _from_array(np.asarray(recordings), n, "recordings")
    if len(recordings.stimuli) != n:
        raise InputError(
            f"{recordings.name} has {len(recordings.stimuli)} images, the features have {n}: give "
            "the same images in the same order"
        )
    return brains(recordings, "mean", seed)[0]


def _read(path: Path) -> np.ndarray:
    if not path.exists():
        raise InputError(f"{path} does not exist: give an .npy of images x neurons")
    check_npy(path)
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as an .npy file ({error})") from error


def _from_array(array: np.ndarray, n: int, name: str) -> Recordings:
    if array.dtype.kind not in "fiu" or array.ndim not in (2, 3) or n not in array.shape[-2:]:
        raise InputError(
            f"{name} is {array.dtype} of shape {array.shape}, the features have {n} images: give "
            f"[{n}, neurons], or [presentations, {n}, neurons]"
        )
    if array.shape[-2] != n:
        array = array.swapaxes(-1, -2)
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    ids = np.array([str(number) for number in range(n)])
    return Recordings(
        name,
        StimulusSet(ids, ids, ids),
        responses=(array if array.ndim == 2 else array.mean(axis=0))[..., None],
        repetitions=array[..., None] if array.ndim == 3 and len(array) > 1 else None,
        neuroids={"neuroid_id": np.arange(array.shape[-1]).astype(str)},
        source=name,
    ).require_finite()

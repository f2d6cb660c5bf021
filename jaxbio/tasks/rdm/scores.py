"""How similar a student is to the recordings, on images that it learnt from and on others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxbio.neural import Recordings
from jaxbio.similarity import NeuralNoise, compare, sit, svm_score, upper
from jaxbio.similarity.crossval import strata
from jaxbio.similarity.noise import recordings_noise
from jaxbio.tasks.rdm.data import Partition, Target, rdm_of_objects

# Draws of images and noise are the same before and after, so that the gain is not theirs.
_SEED = 0
_MOST_PER_OBJECT = 8  # images of an object in a draw, as published


class StudentMeasures(NamedTuple):
    """Scores of one state of a student.

    Attributes:
        held_out: SIT, or Spearman's rho of RDMs where recordings have no responses.
        held_out_std: over the draws of SIT; 0 without draws.
        train: the same as ``held_out`` on the images learnt from.
        validation: the same on the validation images; None without any.
        loss: mean squared difference to the target's RDM on held-out images.
        svm: accuracy in telling categories, held-out images; None for single images per object.
        rdm: ``[n, n]`` of the held-out conditions.
    """

    held_out: float
    held_out_std: float
    train: float
    validation: float | None
    loss: float
    svm: float | None
    rdm: np.ndarray


def measure_student(
    activity: np.ndarray,
    recordings: Recordings,
    neural: Target,
    target_rdm: np.ndarray,
    partition: Partition,
    *,
    sit_splits: int,
    name: str,
) -> StudentMeasures:
    """Compares a student's features with the recordings.

    Args:
        activity: ``[S, units]`` of all images.
        recordings: what they are compared with.
        neural: the recordings as a target.
        target_rdm: what was to be learnt, of the held-out conditions.
        partition: which images are held out.
        sit_splits: draws of SIT.
        name: the layer's, for errors.
    """
    objects = recordings.stimuli.objects
    scores = {}
    parts = {"train": partition.train, "held_out": partition.test}
    if len(partition.validation):
        parts["validation"] = partition.validation
    for part, index in parts.items():
        if neural.patterns is None:
            scores[part] = (_spearman(activity[index], neural, index, objects[index], name), 0.0)
            continue
        fewest = int(np.unique(objects[index], return_counts=True)[1].min())
        result = sit(
            activity[index],
            neural.patterns[index],
            objects[index],
            jax.random.key(_SEED),
            n_splits=sit_splits,
            images_per_object=min(_MOST_PER_OBJECT, fewest),
            noise=_noise(recordings),
            names=(name, recordings.name),
        )
        scores[part] = (float(result.mean), float(result.std))
    test = partition.test
    held_out_rdm = rdm_of_objects(activity[test], objects[test], name)
    return StudentMeasures(
        held_out=scores["held_out"][0],
        held_out_std=scores["held_out"][1],
        train=scores["train"][0],
        validation=scores["validation"][0] if "validation" in scores else None,
        loss=float(np.square(held_out_rdm - target_rdm).mean()),
        svm=_svm(activity[test], recordings, neural, test, name),
        rdm=held_out_rdm,
    )


def before_after_gain(results: Mapping[str, Any], key: str, digits: int) -> tuple[str, str, str]:
    """A score of the results before and after, and its gain, as text; of the SVM in percent."""
    scale = 100.0 if key == "svm" else 1.0
    before, after = scale * results[f"{key}_before"], scale * results[key]
    return f"{before:.{digits}f}", f"{after:.{digits}f}", f"{after - before:+.{digits}f}"


def _svm(
    activity: np.ndarray, recordings: Recordings, neural: Target, index: np.ndarray, name: str
) -> float | None:
    """Accuracy with C chosen within training images; None without several images per object."""
    stimuli = recordings.stimuli
    if neural.patterns is None or len(np.unique(stimuli.objects[index])) == len(index):
        return None
    responses = neural.patterns[index]
    return svm_score(
        activity,
        stimuli.labels[index],
        strata(stimuli.objects[index], stimuli.labels[index]),
        n_features=responses.shape[1],
        neural=responses,
        noise=_noise(recordings),
        key=jax.random.key(_SEED),
        name=name,
    ).mean


def _noise(recordings: Recordings) -> NeuralNoise:
    """Of responses averaged over time bins, as the target has them."""
    presentations = recordings.repetitions
    return recordings_noise(None if presentations is None else presentations.mean(axis=3))


def _spearman(
    activity: np.ndarray, neural: Target, index: np.ndarray, objects: np.ndarray, name: str
) -> float:
    ours, theirs = rdm_of_objects(activity, objects, name), neural.matrix(index, objects)
    return float(compare(upper(ours), upper(theirs), "spearman"))

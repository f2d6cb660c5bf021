"""Accuracy, agreement of errors, shape bias and confusions of observers.

Reference:
    Geirhos, Meding & Wichmann 2020, "Beyond accuracy: quantifying trial-by-trial behaviour of CNNs
    and humans by measuring error consistency"; Geirhos et al. 2021, "Partial success in closing the
    gap between human and machine vision" (means over conditions, then people, then experiments;
    which conditions count); Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture"
    (shape bias).
"""

import re
from typing import Any, NamedTuple

import numpy as np

from jaxbio.behaviour.categories import CATEGORIES
from jaxbio.behaviour.intervals import interval, resample
from jaxbio.behaviour.trials import NO_ANSWER, Trials
from jaxbio.errors import InputError
from jaxbio.similarity.behaviour import error_consistency

# Not out of distribution, or people are below 20 %: error consistency means nothing there.
EXCLUDED_CONDITIONS = {
    "colour": ("cr",),
    "contrast": ("c100", "c03", "c01"),
    "high-pass": ("inf", "0.55", "0.45", "0.4"),
    "low-pass": ("0", "15", "40"),
    "phase-scrambling": ("0", "150", "180"),
    "power-equalisation": ("0",),
    "false-colour": ("True",),
    "rotation": ("0",),
    "eidolonI": ("1-10-10", "64-10-10", "128-10-10"),
    "eidolonII": ("1-3-10", "32-3-10", "64-3-10", "128-3-10"),
    "eidolonIII": ("1-0-10", "16-0-10", "32-0-10", "64-0-10", "128-0-10"),
    "uniform-noise": ("0.0", "0.6", "0.9"),
}


class Agreement(NamedTuple):
    """How two observers' correctness on the same images compares.

    Attributes:
        accuracy_difference: square of the difference of their accuracies.
        observed_consistency: share of images that both or neither got right.
        expected_consistency: that share if errors were independent.
        error_consistency: Cohen's kappa; 1 where they never differ.
    """

    accuracy_difference: float
    observed_consistency: float
    expected_consistency: float
    error_consistency: float


def accuracy(trials: Trials) -> float:
    """Share of correct answers; no answer is wrong.

    Raises:
        InputError: no trials.
    """
    if not len(trials):
        raise InputError("accuracy of no trials: check the observer's and the condition's name")
    return float(trials.correct.mean())


def agreement(first: Trials, second: Trials) -> Agreement:
    """Compares two observers on the images that both saw.

    Args:
        first: trials of one observer; every image once.
        second: of another one, on the same images.

    Raises:
        InputError: the images differ, or an image appears twice.
    """
    names, order = first.by_image()
    others, other_order = second.by_image()
    if names != others:
        lone = sorted(set(names) ^ set(others))
        raise InputError(
            f"{first.subject[0] if len(first) else 'nobody'} and "
            f"{second.subject[0] if len(second) else 'nobody'} saw different images: "
            f"{lone[0]} and {len(lone) - 1} more are in one set only"
        )
    a, b = first.correct[order], second.correct[other_order]
    p, q = accuracy(first), accuracy(second)
    observed = float((a == b).mean())
    return Agreement(
        accuracy_difference=(p - q) ** 2,
        observed_consistency=observed,
        expected_consistency=p * q + (1 - p) * (1 - q),
        error_consistency=1.0 if observed == 1 else float(error_consistency(a, b)),
    )


def benchmark(model: Trials, humans: Trials, experiment: str = "") -> dict[str, Any]:
    """A network, or any one observer, against people.

    Args:
        model: trials of one observer.
        humans: trials of people (or of other networks).
        experiment: its published name leaves out the conditions that the benchmark leaves out; with
            another name all count.

    Returns:
        ``conditions``: per condition the ``accuracy`` of the model, ``human_accuracy`` (the mean of
        people), means over people of the fields of :class:`Agreement`, and with people among
        themselves ``human_error_consistency`` (None for one person). Beside it ``accuracy`` and
        ``human_accuracy`` of all trials that count, means over the conditions that count of the
        agreements, and ``excluded``, the conditions that do not count. ``intervals``, there and of
        each condition, holds ``(low, high)`` of each of these scores, the middle 95 % of bootstrap
        samples of the images.

    Raises:
        InputError: several observers as the model, conditions or images that differ.
    """
    if len(model.subjects) != 1:
        raise InputError(f"the model's trials are of {model.subjects}: pass one observer's")
    unknown = set(humans.conditions) ^ set(model.conditions)
    if unknown:
        raise InputError(
            f"condition {sorted(unknown)[0]!r} has trials of people or of {model.subjects[0]} only"
        )
    excluded = EXCLUDED_CONDITIONS.get(experiment, ())
    conditions: dict[str, dict[str, Any]] = {}
    counted, samples, images = [], {}, {}
    for number, condition in enumerate(model.conditions):
        own = model.of(condition=condition)
        people = [humans.of(subject=s, condition=condition) for s in humans.subjects]
        people = [p for p in people if len(p)]
        with_people = np.mean([agreement(own, person) for person in people], 0)
        among = [
            agreement(a, b).error_consistency for i, a in enumerate(people) for b in people[i + 1 :]
        ]
        conditions[condition] = {
            "accuracy": accuracy(own),
            "human_accuracy": float(np.mean([accuracy(p) for p in people])),
            **dict(zip(Agreement._fields, map(float, with_people), strict=True)),
            "human_error_consistency": float(np.mean(among)) if among else None,
        }
        right = [trials.correct[trials.by_image()[1]] for trials in (own, *people)]
        samples[condition] = resample(np.stack(right), seed=number)
        images[condition] = np.array([len(own), sum(map(len, people))])
        found = {name: interval(scores) for name, scores in samples[condition].items()}
        conditions[condition]["intervals"] = found
        if condition not in excluded:
            counted.append(condition)
    if not counted:
        raise InputError(f"experiment={experiment!r} counts none of {', '.join(conditions)}")

    def mean(name: str) -> float | None:
        values = [conditions[c][name] for c in counted]
        return None if None in values else float(np.mean(values))

    def together(name: str, weights: "np.ndarray | list[float]") -> tuple[float, float] | None:
        if any(name not in samples[c] for c in counted):
            return None
        return interval(np.average([samples[c][name] for c in counted], 0, weights))

    agreements = (
        *("accuracy_difference", "observed_consistency", "error_consistency"),
        "human_error_consistency",
    )
    trials = np.stack([images[c] for c in counted], 1)
    intervals = {
        "accuracy": together("accuracy", trials[0]),
        "human_accuracy": together("human_accuracy", trials[1]),
        **{name: together(name, [1.0] * len(counted)) for name in agreements},
    }
    return {
        "accuracy": accuracy(model.where(np.isin(model.condition, counted))),
        "human_accuracy": accuracy(humans.where(np.isin(humans.condition, counted))),
        **{name: mean(name) for name in agreements},
        "intervals": {name: ends for name, ends in intervals.items() if ends is not None},
        "excluded": [c for c in conditions if c not in counted],
        "conditions": conditions,
    }


def shape_bias(trials: Trials) -> dict[str, float]:
    """How often shape decides where shape and texture disagree.

    Args:
        trials: of cue-conflict images, whose names end in ``SHAPE1-TEXTURE2.png``; ``category`` is
            the shape.

    Returns:
        ``shape``, ``texture``: shares of the trials answered by the one or the other;
        ``shape_bias``: the first over their sum, NaN if no answer was either.

    Raises:
        InputError: a name that tells no texture, or no trial with a conflict.
    """
    textures = []
    for name in trials.image.tolist():
        match = re.fullmatch(r"([a-z]+)\d*-([a-z]+)\d*\.\w+", name.split("_")[-1])
        if match is None or match.group(2) not in CATEGORIES:
            raise InputError(f"image {name}: a cue-conflict image is called SHAPE1-TEXTURE2.png")
        textures.append(match.group(2))
    texture = np.asarray(textures)
    conflict = texture != trials.category
    if not conflict.any():
        raise InputError("shape bias: no image has a texture that differs from its shape")
    by_shape = int((conflict & (trials.response == trials.category)).sum())
    by_texture = int((conflict & (trials.response == texture)).sum())
    decided = by_shape + by_texture
    return {
        "shape": by_shape / len(trials),
        "texture": by_texture / len(trials),
        "shape_bias": by_shape / decided if decided else float("nan"),
    }


def confusion(trials: Trials) -> np.ndarray:
    """Shares of answers for each category shown.

    Returns:
        ``[17, 16]``: rows are the answers, the 16 ``CATEGORIES`` and then no answer; columns the
        categories shown, each adding up to 1, NaN where a category was not shown.
    """
    answers = np.asarray((*CATEGORIES, NO_ANSWER))
    counts = (trials.response[None] == answers[:, None]).astype(float) @ (
        trials.category[:, None] == np.asarray(CATEGORIES)[None]
    )
    shown = counts.sum(0)
    return np.divide(counts, shown, out=np.full_like(counts, np.nan), where=shown > 0)

"""The measures of similarity, each from layers and recordings to scores with intervals."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import jax
import numpy as np

from jaxbio.errors import InputError, suggest
from jaxbio.measures.brain import Brain
from jaxbio.similarity import (
    REGRESSIONS,
    SIT,
    Products,
    ceiled,
    cka,
    cka_from_gram,
    compare,
    evaluate_bootstrap,
    gram,
    predictivity,
    predictivity_from_gram,
    rdm_scores,
    rsa_noise_ceiling,
    sit,
    spearman_brown,
    square,
    svm_score,
    upper,
)
from jaxbio.similarity.crossval import strata

DEFAULT = ("rsa", "sit", "svm", "pls", "ridge", "cka")
_COMPONENTS = 25  # of PLS, where the layer has as many units
_DRAWS = 100  # of SIT
_VIEWS = 8  # of an object in a draw of SIT
_HALF_SAMPLES = 50
_NORMAL_95 = 1.96

Layers = Mapping[str, np.ndarray | Products]


class Score(NamedTuple):
    """A score and its 95 % interval.

    Attributes:
        ceiled: relative to the ceiling where the measure defines that; else None.
        per_neuron: ``[N]`` of each neuron, where the measure is a mean of these; else None.
    """

    value: float
    low: float
    high: float
    ceiled: float | None = None
    per_neuron: np.ndarray | None = None


class Ceiling(NamedTuple):
    """What the best possible model would score.

    Attributes:
        low: lower bound, or the estimate.
        high: upper bound, or the estimate.
    """

    low: float
    high: float
    what: str


@dataclass(frozen=True)
class Measure:
    """One way to compare layers with recordings.

    Attributes:
        interval: what the interval covers, in words.
        needs: "" or what recordings must have: ``responses``, ``views`` (these and several images
            per object).
        units: whether it needs the layers' units; else their inner products are enough.
        together: whether many layers cost hardly more than one; else they are scored one by one.
        ceiling: of the recordings; None where it is not known.
    """

    title: str
    interval: str
    needs: str
    score: Callable[[Brain, Any], dict[str, Score]]
    ceiling: Callable[[Brain], Ceiling | None]
    units: bool = False
    together: bool = False


def choose_measures(
    names: list[str], brain: Brain, streamed: Collection[str] = ()
) -> tuple[list[str], list[str]]:
    """The measures that recordings allow.

    Args:
        names: as on the command line; empty: the default ones.
        brain: the recordings.
        streamed: layers of which there will be inner products alone.

    Returns:
        The names, and a remark for each default measure that is left out.

    Raises:
        InputError: an unknown name, or one that the recordings or the layers do not allow.
    """
    chosen, remarks = [], []
    for name in dict.fromkeys(names or DEFAULT):
        if name not in MEASURES:
            raise InputError(f"--measures={name}: {suggest(name, MEASURES, 'use some of')}")
        missing = _missing(MEASURES[name].needs, brain)
        if missing and names:
            raise InputError(f"--measures={name}: {brain.recordings.name} has {missing}")
        if streamed and MEASURES[name].units:
            wide = f"the units of {', '.join(streamed)}, which are too many to keep"
            if names:
                raise InputError(f"--measures={name} needs {wide}: set --max_units=4096 or less")
            remarks.append(f"{name} is left out: it needs {wide} (--max_units=4096 takes some)")
            continue
        if missing:
            remarks.append(f"{name} is left out: the recordings have {missing}")
        else:
            chosen.append(name)
    return chosen, remarks


def _missing(needs: str, brain: Brain) -> str:
    if needs and brain.patterns is None:
        return "dissimilarities only, no responses"
    if needs == "views" and not brain.has_views:
        return "one image per object"
    return ""


def _rsa(brain: Brain, layers: Layers) -> dict[str, Score]:
    rdms = np.stack([brain.condition_rdm(x, name) for name, x in layers.items()])
    subjects = brain.subject_rdms
    if len(subjects) > 1:
        found = evaluate_bootstrap(upper(rdms), subjects, jax.random.key(brain.seed), "spearman")
        parts = zip(layers, found.score, found.low, found.high, strict=True)
        return {n: Score(float(value), float(low), float(high)) for n, value, low, high in parts}
    neural = np.asarray(square(subjects[0]))
    rng = np.random.default_rng(brain.seed)
    halves = np.stack([_half(rng, len(neural), 3) for _ in range(_HALF_SAMPLES)])
    names = ("RDMs of layers", brain.name or brain.recordings.name)
    errors = np.std(rdm_scores(rdms, neural, "spearman", subsets=halves, names=names), axis=0)
    values = np.asarray(compare(upper(rdms), upper(neural), "spearman", names=names))
    return {
        name: _normal(float(value), float(error))
        for name, value, error in zip(layers, values, errors, strict=True)
    }


def _half(rng: np.random.Generator, count: int, fewest: int) -> np.ndarray:
    """A random half of ``count`` things, sorted; ``fewest`` if that is more.

    The spread of a statistic over random halves estimates its standard error on the whole (the
    delete-half jackknife), and never counts a stimulus twice, as a bootstrap would.
    """
    return np.sort(rng.permutation(count)[: max(fewest, count // 2)])


def _rsa_ceiling(brain: Brain) -> Ceiling | None:
    if len(brain.subject_rdms) > 1:
        bounds = rsa_noise_ceiling(brain.subject_rdms, "spearman")
        return Ceiling(float(bounds.lower), float(bounds.upper), "agreement of subjects")
    if brain.halves is None:
        return None
    name = brain.recordings.name
    between = [
        float(compare(*(upper(brain.condition_rdm(x, name)) for x in pair), "spearman"))  # type: ignore[call-arg, arg-type]
        for pair in zip(*brain.halves, strict=True)
    ]
    reliability = float(spearman_brown(np.mean(between)))
    limit = float(np.sqrt(max(0.0, reliability)))
    return Ceiling(limit, limit, "root of the split-half reliability of the RDM (Spearman-Brown)")


def _sit(brain: Brain, layers: Mapping[str, np.ndarray]) -> dict[str, Score]:
    scores = {}
    for name, x in layers.items():
        names = (name, brain.recordings.name)
        result = _similarity(brain, x, brain.patterns, noise=brain.noise, names=names)
        low, high = np.percentile(np.asarray(result.scores), [2.5, 97.5])
        scores[name] = Score(float(result.mean), float(low), float(high))
    return scores


def _sit_ceiling(brain: Brain) -> Ceiling | None:
    if brain.halves is None:
        return None
    first, second = (half[0] for half in brain.halves)
    value = float(_similarity(brain, first, second, noise=None).mean)
    return Ceiling(value, value, "one half of the presentations against the other")


def _similarity(brain: Brain, x: Any, y: Any, **options: Any) -> SIT:
    """SIT of two representations of the images."""
    return sit(
        x,
        y,
        brain.objects,
        jax.random.key(brain.seed),
        n_splits=_DRAWS,
        images_per_object=min(_VIEWS, int(np.bincount(brain.conditions).min())),
        **options,
    )


def _svm(brain: Brain, layers: Mapping[str, np.ndarray]) -> dict[str, Score]:
    scores = {}
    for name, x in layers.items():
        result = svm_score(
            x,
            brain.labels,
            strata(brain.objects, brain.labels),
            n_features=cast(np.ndarray, brain.patterns).shape[1],
            neural=brain.patterns,
            noise=brain.noise,
            key=jax.random.key(brain.seed),
            name=name,
        )
        scores[name] = _normal(result.mean, result.std / len(result.accuracy) ** 0.5)
    return scores


def _svm_ceiling(brain: Brain) -> Ceiling:
    groups = strata(brain.objects, brain.labels)
    result = svm_score(brain.patterns, brain.labels, groups, name=brain.recordings.name)
    return Ceiling(result.mean, result.mean, "no ceiling: accuracy from the recordings themselves")


def _regression(method: str) -> Callable[[Brain, Layers], dict[str, Score]]:
    def score(brain: Brain, layers: Layers) -> dict[str, Score]:
        limit = _consistency_ceiling(brain)
        scores = {}
        kinds = {name: _kind(x) for name, x in layers.items()}
        for streamed, width in sorted(set(kinds.values())):
            group: Any = {n: x for n, x in layers.items() if kinds[n] == (streamed, width)}
            options: Any = {
                "method": method,
                "splits": brain.splits,
                "n_components": width,
                "names": ("layer", brain.recordings.name),
            }
            if streamed:
                grams = np.stack([x.gram(name) for name, x in group.items()])
                result = predictivity_from_gram(
                    grams, brain.patterns, labels=list(group), **options
                )
            else:
                result = predictivity(group, brain.patterns, **options)
            each = np.asarray(result.per_neuroid).mean(axis=1)  # over splits
            parts = zip(group, result.score, result.error, each, strict=True)
            for name, value, error, neurons in parts:
                relative = None
                if limit is not None and limit.low > 0:
                    relative = float(ceiled(value, limit.low))
                score = _normal(float(value), float(error), relative)
                scores[name] = score._replace(per_neuron=neurons)
        return scores

    return score


def _kind(x: np.ndarray | Products) -> tuple[bool, int]:
    """Layers of one kind are scored together: whether streamed, and the components of PLS."""
    return isinstance(x, Products), min(_COMPONENTS, x.shape[1])


def _consistency_ceiling(brain: Brain) -> Ceiling | None:
    value = brain.consistency
    if value is None:
        return None
    return Ceiling(value, value, "split-half reliability of responses (Spearman-Brown)")


def _cka(brain: Brain, layers: Layers) -> dict[str, Score]:
    of_brain = gram(brain.patterns, brain.recordings.name)
    rng = np.random.default_rng(brain.seed)
    count = len(cast(np.ndarray, brain.patterns))
    halves = np.stack([_half(rng, count, 4) for _ in range(_HALF_SAMPLES)])
    scores = {}
    for name, x in layers.items():
        of_layer = x.gram(name) if isinstance(x, Products) else gram(x, name)
        value = float(cka_from_gram(of_layer, of_brain))
        resampled = np.asarray(cka_from_gram(of_layer, of_brain, subsets=halves))
        scores[name] = _normal(value, float(resampled.std()))
    return scores


def _cka_ceiling(brain: Brain) -> Ceiling | None:
    if brain.halves is None:
        return None
    value = float(cka(brain.halves[0][0], brain.halves[1][0]))
    return Ceiling(value, value, "one half of the presentations against the other")


def _normal(value: float, error: float, relative: float | None = None) -> Score:
    return Score(value, value - _NORMAL_95 * error, value + _NORMAL_95 * error, relative)


MEASURES: dict[str, Measure] = {
    "rsa": Measure(
        "RSA (Spearman)",
        "bootstrap over subjects and conditions; of one RDM, half-samples of conditions",
        "",
        _rsa,
        _rsa_ceiling,
        together=True,
    ),
    "sit": Measure("SIT (Spearman)", "95 % of random draws", "views", _sit, _sit_ceiling, True),
    "svm": Measure("SVM accuracy", "normal, error over splits", "views", _svm, _svm_ceiling, True),
    **{
        name: Measure(
            f"{name.upper() if name == 'pls' else name} predictivity (Pearson)",
            "normal, error over splits",
            "responses",
            _regression(name),
            _consistency_ceiling,
            units=name == "one-to-one",
        )
        for name in REGRESSIONS
    },
    "cka": Measure(
        "CKA (linear, unbiased)", "normal, half-samples of stimuli", "responses", _cka, _cka_ceiling
    ),
}

"""Neural predictivity: how well a linear readout of features predicts held-out responses.

Reference:
    Yamins et al. 2014, PNAS 111; Schrimpf et al. 2018, "Brain-Score", doi:10.1101/407007.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.ceilings import over_splits
from jaxbio.similarity.crossval import Splits, check_splits, stratified_splits
from jaxbio.similarity.gram import layers_gram
from jaxbio.similarity.one_to_one import one_to_one_predict
from jaxbio.similarity.pls import pls_predict
from jaxbio.similarity.ranks import pearson_columns
from jaxbio.similarity.ridge import linear_predict, ridge_cv_predict, ridge_predict

REGRESSIONS = ("pls", "ridge", "ridge-cv", "linear", "one-to-one")
# Half-decades; denser choices change the chosen penalty, hardly the predictions.
RIDGE_ALPHAS = tuple(10.0 ** (e / 2) for e in range(-4, 15))


class Predictivity(NamedTuple):
    """Scores of a regression.

    Attributes:
        score: mean over splits of the median over neuroids, ``[layers, times]`` (axes as in input).
        error: population standard deviation over splits / sqrt(splits), likewise.
        per_neuroid: Pearson's r of prediction and response, ``[layers, times, splits, neuroids]``.
    """

    score: jax.Array
    error: jax.Array
    per_neuroid: jax.Array


def predictivity(
    features: Any,
    responses: Any,
    objects: Any = None,
    method: str = "pls",
    *,
    splits: Splits | None = None,
    n_components: int = 25,
    alpha: float = 1.0,
    alphas: Sequence[float] = RIDGE_ALPHAS,
    names: tuple[str, str] = ("features", "responses"),
) -> Predictivity:
    """Crossvalidated regression from features to neuroids, scored by Pearson's r per neuroid.

    =============  ==================================================================
    pls            partial least squares, ``n_components``, centred, not scaled
    ridge          penalty ``alpha``
    ridge-cv       penalty out of ``alphas`` by leave-one-out error, in each split
    linear         ordinary least squares
    one-to-one     the single best feature
    =============  ==================================================================

    All splits, layers and times run in one compiled program, whatever the layers' widths.

    Args:
        features: a layer ``[n, p]``, or several: a list, or a dict by name, of such arrays.
        responses: means over repetitions ``[n, q]``, or with time bins ``[T, n, q]``.
        objects: object of each stimulus ``[n]``; splits are stratified by it. Not needed with
            ``splits``.
        method: one of the above.
        splits: instead of 10 splits with 90 % in training, seed 1.
        n_components: of "pls".
        alpha: of "ridge".
        alphas: of "ridge-cv".
        names: what features and responses are called in errors.

    Returns:
        Scores; axes of layers and times are there if the input has them.

    Raises:
        InputError: if shapes do not fit, values are NaN, a layer or a neuroid is constant (also
            within one split), or there are more components than the training features have
            dimensions.

    Example:
        >>> result = predictivity({"IT": it, "V4": v4}, responses, objects)
        >>> ceiled(result.score, internal_consistency(repetitions, key=key).score)
    """
    checks.choice(method, REGRESSIONS, "regression")
    if method != "one-to-one":
        grams, single = layers_gram(features, names[0])
        fewest = min(np.shape(x)[1] for x in _as_dict(features, names[0]).values())
        result = predictivity_from_gram(
            grams, responses, objects, method, splits=splits, n_components=n_components,
            alpha=alpha, alphas=alphas, names=names, rank=fewest,
            labels=list(_as_dict(features, names[0])),
        )  # fmt: skip
        return Predictivity(*(x[0] for x in result)) if single else result
    layers = _as_dict(features, names[0])
    results = []
    for label, x in layers.items():
        x = checks.floats(x, label, 2)
        checks.varies(x, label)
        y, splits = _prepare(responses, objects, splits, len(x), (label, names[1]))
        scores = _score_one_to_one(x, jnp.atleast_3d(y) if y.ndim == 3 else y[None], *splits)
        results.append(_finish(scores if y.ndim == 3 else scores[0], label, names[1]))
    if not isinstance(features, Mapping | list | tuple):
        return results[0]
    return Predictivity(*(jnp.stack(parts) for parts in zip(*results, strict=True)))


def predictivity_from_gram(
    grams: Any,
    responses: Any,
    objects: Any = None,
    method: str = "pls",
    *,
    splits: Splits | None = None,
    n_components: int = 25,
    alpha: float = 1.0,
    alphas: Sequence[float] = RIDGE_ALPHAS,
    names: tuple[str, str] = ("features", "responses"),
    rank: int | None = None,
    labels: Sequence[str] | None = None,
) -> Predictivity:
    """:func:`predictivity` from the layers' Gram matrices, for layers too wide to keep.

    Args:
        grams: ``[layers, n, n]`` from :func:`jaxbio.similarity.gram`.
        responses: as there, and so are the others; the method cannot be "one-to-one".
        objects: see there.
        method: see there.
        splits: see there.
        n_components: see there.
        alpha: see there.
        alphas: see there.
        names: see there.
        rank: the smallest number of features of a layer; more components than that are refused.
        labels: the layers' names, for errors.

    Returns:
        Scores ``[layers]`` or ``[layers, times]``.

    Raises:
        InputError: see there.
    """
    checks.choice(method, REGRESSIONS[:-1], "regression from Gram matrices")
    grams = checks.floats(grams, names[0], 3)
    y, splits = _prepare(responses, objects, splits, grams.shape[-1], names)
    if method == "pls":
        most = min(splits.train.shape[1] - 1, rank or grams.shape[-1])
        if not 1 <= n_components <= most:
            raise InputError(
                f"n_components={n_components}, must lie in [1, {most}]: {names[0]} and the "
                "training stimuli have no more dimensions"
            )
    penalty = jnp.asarray(alphas if method == "ridge-cv" else alpha, grams.dtype)
    if checks.known(penalty) and not bool((penalty > 0).all()):
        raise InputError(f"ridge penalties must be above 0, got {penalty.min()}")
    times = y if y.ndim == 3 else y[None]
    scores = _scores(grams, times, *splits, penalty, method, n_components)
    _check_finite(scores, labels or [f"{names[0]}[{i}]" for i in range(len(scores))], names[1])
    return _finish(scores if y.ndim == 3 else scores[:, 0], *names)


def _as_dict(features: Any, name: str) -> dict[str, Any]:
    if isinstance(features, Mapping):
        return dict(features)
    if isinstance(features, list | tuple):
        return {f"{name}[{i}]": x for i, x in enumerate(features)}
    return {name: features}


def _prepare(responses, objects, splits, n, names) -> tuple[jax.Array, Splits]:
    y = checks.floats(responses, names[1], (2, 3))
    checks.same_length(n, y.shape[-2], *names)
    checks.neuroids_vary(y, names[1])
    if splits is None:
        if objects is None:
            raise InputError("predictivity needs the stimuli's objects, or splits")
        splits = stratified_splits(objects)
    return y, check_splits(splits, n)


def _check_finite(r: jax.Array, layers: Sequence[str], responses: str) -> None:
    """Refuses correlations ``[layers, ..., splits, neuroids]`` that are not numbers, by layer."""
    if checks.known(r):
        for name, of_layer in zip(layers, r, strict=True):
            _finish(of_layer, name, responses)


def _finish(r: jax.Array, features: str, responses: str) -> Predictivity:
    if checks.known(r) and not bool(jnp.isfinite(r).all()):
        split, neuroid = np.argwhere(~np.isfinite(np.asarray(r)))[0][-2:]
        raise InputError(
            f"{features}: neuroid {neuroid} of {responses} or its prediction is constant within "
            f"split {split}: no correlation; use other splits or drop it"
        )
    return Predictivity(*over_splits(jnp.median(r, -1)), r)


@checks.compiled(static=("method", "n_components"))
def _scores(grams, times, train, test, penalty, method, n_components):
    def one(k, y):
        if method == "pls":
            predicted = pls_predict(k, y, train, test, n_components)
        elif method == "ridge":
            predicted = ridge_predict(k, y, train, test, penalty)
        elif method == "ridge-cv":
            predicted, _ = ridge_cv_predict(k, y, train, test, penalty)
        else:
            predicted = linear_predict(k, y, train, test)
        return pearson_columns(predicted, y[test])

    return lax.map(lambda k: lax.map(lambda y: one(k, y), times), grams)


@checks.compiled
def _score_one_to_one(x, times, train, test):
    def one(y):
        predicted, _ = one_to_one_predict(x, y, train, test)
        return pearson_columns(predicted, y[test])

    return lax.map(one, times)

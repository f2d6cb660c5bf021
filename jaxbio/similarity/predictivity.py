"""Neural predictivity: how well a linear readout of features predicts held-out responses.

Reference:
    Yamins et al. 2014, PNAS 111; Schrimpf et al. 2018, "Brain-Score", doi:10.1101/407007.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.ceilings import over_splits
from jaxbio.similarity.crossval import Splits, check_splits, stratified_splits
from jaxbio.similarity.gram import gram
from jaxbio.similarity.one_to_one import one_to_one_predict
from jaxbio.similarity.pls import components_found, isometric, pls_components, pls_of_split
from jaxbio.similarity.products import products
from jaxbio.similarity.ranks import pearson_columns
from jaxbio.similarity.ridge import (
    RIDGE_ALPHAS,
    linear_predict,
    ridge_cv_predict,
    ridge_predict,
)

REGRESSIONS = ("pls", "ridge", "ridge-cv", "linear", "one-to-one")
# Brain-Score's 99.
BRAIN_SCORE_ALPHAS = (
    *(0.01, 0.1, 0.5, 1.0, 10.0, 32.5, 55.0, 77.5),
    *(10.0**e * step / 2 for e in range(2, 7) for step in range(2, 20)),
    1e7,
)
_BLOCK = 4096  # units of a layer that are in float64 at a time


class RankWarning(UserWarning):
    """The features have fewer dimensions than components were asked for."""


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
        InputError: if shapes do not fit, values are NaN, or a layer or a neuroid is constant (also
            within one split).

    Warns:
        RankWarning: ``n_components`` is above the rank of the training features, which is then
            their number.

    Example:
        >>> result = predictivity({"IT": it, "V4": v4}, responses, objects)
        >>> ceiled(result.score, internal_consistency(repetitions, key=key).score)
    """
    checks.choice(method, REGRESSIONS, "regression")
    layers = _as_dict(features, names[0])
    for label, x in layers.items():
        layers[label] = x = checks.floats(x, label, 2)
        checks.varies(x, label)
        checks.same_length(len(x), len(next(iter(layers.values()))), label, next(iter(layers)))
    single = not isinstance(features, Mapping | list | tuple)
    if method == "one-to-one":
        y, splits = _prepare(responses, objects, splits, len(x), next(iter(layers)), names[1])
        times = y if y.ndim == 3 else y[None]
        scores = [_score_one_to_one(checks.local(x), times, *splits) for x in layers.values()]
        return _finish(jnp.stack(scores), y, list(layers), names[1], single)
    stacked = _factors(layers) if method == "pls" else _grams(layers)
    return _regress(
        stacked, responses, objects, method, splits=splits, n_components=n_components,
        alpha=alpha, alphas=alphas, labels=list(layers), responses_name=names[1], single=single,
    )  # fmt: skip


def predictivity_from_gram(
    grams: Any,
    responses: Any,
    objects: Any = None,
    method: str = "pls",
    *,
    labels: Sequence[str] | None = None,
    names: tuple[str, str] = ("features", "responses"),
    **options: Any,
) -> Predictivity:
    """:func:`predictivity` from the layers' Gram matrices, for layers too wide to keep.

    A Gram matrix has the squares of the features' singular values: of a steep spectrum it keeps
    less than the features themselves. All methods take float64 ones as they are; PLS leaves out
    directions whose squares are rounding errors of their type.

    Args:
        grams: ``[layers, n, n]`` from :func:`jaxbio.similarity.gram`, or in float64 from
            :class:`jaxbio.similarity.Products`.
        responses: as there.
        objects: as there.
        method: as there, but not "one-to-one".
        labels: the layers' names, for errors.
        names: as there.
        **options: as there.

    Returns:
        Scores ``[layers]`` or ``[layers, times]``.

    Raises:
        InputError: as there.
    """
    checks.choice(method, REGRESSIONS[:-1], "regression from Gram matrices")
    with jax.enable_x64(checks.known(grams) or _x64()):
        grams = checks.floats(grams, names[0], 3)
    labels = labels or [f"{names[0]}[{i}]" for i in range(len(grams))]
    return _regress(
        _roots(grams) if method == "pls" else grams, responses, objects, method, labels=labels,
        responses_name=names[1], **options,
    )  # fmt: skip


def _regress(
    stacked, responses, objects, method, *, splits=None, n_components=25, alpha=1.0,
    alphas=RIDGE_ALPHAS, labels, responses_name, single=False,
) -> Predictivity:  # fmt: skip
    """From Gram matrices ``[layers, n, n]``; for PLS from features ``[layers, n, r]``."""
    y, splits = _prepare(responses, objects, splits, stacked.shape[1], labels[0], responses_name)
    times = y if y.ndim == 3 else y[None]
    penalty = alphas if method == "ridge-cv" else alpha
    if n_components < 1:
        raise InputError(f"n_components={n_components}, must be at least 1")
    if checks.known(penalty) and not (np.size(penalty) and np.all(np.asarray(penalty) > 0)):
        raise InputError(f"ridge penalties must be one or more, above 0, got {penalty}")
    # In float32 a penalty of 1 is below the rounding errors of a wide layer's Gram matrix.
    exact = checks.known(times)
    with jax.enable_x64(exact or _x64()):
        wide = np.asarray(times, np.float64) if exact else times
        if method == "pls":
            scores, found = _pls_scores(stacked, wide, *splits, n_components)
        else:
            stacked = jnp.asarray(stacked, float if exact else stacked.dtype)
            penalty = jnp.asarray(penalty, stacked.dtype)
            scores = _scores(stacked, wide, *splits, penalty, method)
    if method == "pls" and exact:
        _say_rank(np.asarray(found), labels, n_components)
    return _finish(jnp.asarray(scores, y.dtype), y, labels, responses_name, single)


def _x64() -> bool:
    return cast(Any, jax.config).jax_enable_x64


def _roots(grams: Any) -> np.ndarray:
    """Features ``[layers, n, n]`` whose inner products are the Gram matrices."""
    grams = np.asarray(grams)
    smallest = grams.shape[-1] * np.finfo(grams.dtype).eps if grams.dtype.kind == "f" else 0.0
    values, vectors = np.linalg.eigh(grams.astype(np.float64))
    kept = values > values[:, -1:] * smallest
    return vectors * np.sqrt(np.where(kept, values, 0))[:, None]


def _factors(layers: dict[str, jax.Array]) -> Any:
    """Features ``[layers, n, r]`` with the inner products of the layers', of one width."""
    if not checks.known(*layers.values()):
        widest = max(x.shape[1] for x in layers.values())
        return jnp.stack([jnp.pad(x, ((0, 0), (0, widest - x.shape[1]))) for x in layers.values()])
    factors = [
        isometric(x) if x.is_fully_addressable else _roots(_exact_gram(x, label)[None])[0]
        for label, x in layers.items()
    ]
    widest = max(x.shape[1] for x in factors)
    return np.stack([np.pad(x, ((0, 0), (0, widest - x.shape[1]))) for x in factors])


def _grams(layers: dict[str, jax.Array]) -> Any:
    """Gram matrices ``[layers, n, n]``, in float64 where values are known."""
    if not checks.known(*layers.values()):
        return jnp.stack([gram(x, label) for label, x in layers.items()])
    return np.stack([_exact_gram(x, label) for label, x in layers.items()])


def _exact_gram(x: jax.Array, label: str) -> np.ndarray:
    """In float64: of a wide layer block by block, of one that no process has as a whole at once."""
    if x.is_fully_addressable:
        blocks = range(0, x.shape[1], _BLOCK)
        return products(np.asarray(x[:, start : start + _BLOCK]) for start in blocks).gram(label)
    with jax.enable_x64(True):
        return np.asarray(gram(x.astype(np.float64), label))


def _say_rank(found: np.ndarray, labels: Sequence[str], wanted: int) -> None:
    for label, of_layer in zip(labels, found, strict=True):
        if of_layer.min() < wanted:
            warnings.warn(
                f"{label}: n_components={wanted}, but the training features have rank "
                f"{of_layer.min()}: as many components are used",
                RankWarning,
                stacklevel=4,
            )


def _as_dict(features: Any, name: str) -> dict[str, Any]:
    if isinstance(features, Mapping):
        return dict(features)
    if isinstance(features, list | tuple):
        return {f"{name}[{i}]": x for i, x in enumerate(features)}
    return {name: features}


def _prepare(responses, objects, splits, n, label, name) -> tuple[jax.Array, Splits]:
    y = checks.floats(responses, name, (2, 3))
    checks.same_length(n, y.shape[-2], label, name)
    checks.neuroids_vary(y, name)
    if splits is None:
        if objects is None:
            raise InputError("predictivity needs the stimuli's objects, or splits")
        splits = stratified_splits(objects)
    return y, check_splits(splits, n)


def _finish(r, y, labels, responses, single) -> Predictivity:
    """Scores of correlations ``[layers, times, splits, neuroids]``, with the axes of the input."""
    if checks.known(r) and not bool(jnp.isfinite(r).all()):
        layer, _, split, neuroid = np.argwhere(~np.isfinite(np.asarray(r)))[0]
        raise InputError(
            f"{labels[layer]}: neuroid {neuroid} of {responses} or its prediction is constant "
            f"within split {split}: no correlation; use other splits or drop it"
        )
    r = r if y.ndim == 3 else r[:, 0]
    result = Predictivity(*over_splits(jnp.median(r, -1)), r)
    return Predictivity(*(x[0] for x in result)) if single else result


@checks.compiled(static=("method",))
def _scores(grams, times, train, test, penalty, method):
    def one(k, y):
        if method == "ridge":
            predicted = ridge_predict(k, y, train, test, penalty)
        elif method == "ridge-cv":
            predicted, _ = ridge_cv_predict(k, y, train, test, penalty)
        else:
            predicted = linear_predict(k, y, train, test)
        return pearson_columns(predicted, y[test])

    return lax.map(lambda k: lax.map(lambda y: one(k, y), times), grams)


@checks.compiled(static=("n_components",))
def _pls_scores(features, times, train, test, n_components):
    def one(x, y):
        def split(parts):  # one at a time: 50,000 responses have no room for all predictions
            found, train, test = parts
            return pearson_columns(pls_of_split(y, found, train, test), y[test])

        found = pls_components(x, y, train, n_components)
        return lax.map(split, (found, train, test)), components_found(found)

    return lax.map(lambda x: lax.map(lambda y: one(x, y), times), features)


@checks.compiled
def _score_one_to_one(x, times, train, test):
    def one(y):
        predicted, _ = one_to_one_predict(x, y, train, test)
        return pearson_columns(predicted, y[test])

    return lax.map(one, times)

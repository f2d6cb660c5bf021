"""Behavioural consistency on images (i2n) and error consistency.

In a two-choice trial an image is shown, then its object and another one (the distractor) are
offered. How hard each image is against each distractor makes a matrix ``[images, objects]``; model
and human matrices are correlated.

Reference:
    Rajalingham et al. 2018, "Large-scale, high-resolution comparison of the core visual object
    recognition behavior of humans, monkeys, and deep neural networks", J. Neurosci. 38; error
    consistency: Geirhos et al. 2020, "Beyond accuracy", NeurIPS.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from jaxbio.errors import InputError
from jaxbio.similarity import checks

_MOST = 5.0


class Trials(NamedTuple):
    """Two-choice trials; all arrays ``[trials]`` of indices.

    Attributes:
        image: which image was shown.
        distractor: which object was offered beside the image's own.
        choice: which object was chosen, one of the two.
    """

    image: Any
    distractor: Any
    choice: Any


def human_confusions(trials: Trials, truth: Any, n_objects: int) -> jax.Array:
    """How often the distractor was chosen when it was offered.

    Args:
        trials: the trials.
        truth: object of each image ``[images]``.
        n_objects: number of objects.

    Returns:
        Rates ``[images, n_objects]``; NaN where a distractor was never offered.

    Raises:
        InputError: if indices are out of range, or a choice is neither of the two objects.
    """
    truth = np.asarray(truth)
    image, distractor, choice = (np.asarray(x) for x in trials)
    if not image.shape == distractor.shape == choice.shape or image.ndim != 1 or not image.size:
        shapes = f"{image.shape}, {distractor.shape}, {choice.shape}"
        raise InputError(f"trials: image, distractor and choice are {shapes}; must be one row each")
    for values, end, name in ((image, len(truth), "image"), (distractor, n_objects, "distractor")):
        if values.min() < 0 or values.max() >= end:
            raise InputError(f"trials: {name} must lie in [0, {end}), found {values.max()}")
    if ((choice != distractor) & (choice != truth[image])).any() or (
        distractor == truth[image]
    ).any():
        raise InputError(
            "trials: offered are the image's object and another; one of them is chosen"
        )
    return _rates(image, distractor, choice, len(truth), n_objects)


def model_confusions(probabilities: Any, truth: Any) -> jax.Array:
    """The rate at which a readout would choose each distractor: ``p_d / (p_d + p_truth)``.

    Args:
        probabilities: of each object for each image ``[images, objects]``, above 0 in sum.
        truth: object of each image ``[images]``.

    Returns:
        Rates ``[images, objects]``; NaN for the image's own object.

    Raises:
        InputError: if shapes do not fit or values are NaN.
    """
    p = checks.floats(probabilities, "probabilities", 2)
    truth = jnp.asarray(truth)
    checks.same_length(len(p), len(truth), "probabilities", "truth", "images")
    own = jnp.take_along_axis(p, truth[:, None], 1)
    rates = p / (p + own)
    return jnp.where(jnp.arange(p.shape[1])[None] == truth[:, None], jnp.nan, rates)


@checks.compiled(static=("normalise",))
def discriminability(confusions: jax.Array, truth: jax.Array, normalise: bool = True) -> jax.Array:
    """The i2 (or i2n) matrix: d' of every image against every distractor.

    ``d' = z(1 - p) - z(f)``, with p the rate of choosing distractor d for the image, and f the mean
    rate, over the images of d, of choosing the image's object; clipped to +-5. i2n subtracts the
    mean over the images of the same object, so that it holds what is specific to images.

    Args:
        confusions: rates ``[images, objects]``, NaN where unknown.
        truth: object of each image ``[images]``.
        normalise: i2n instead of i2.

    Returns:
        ``[images, objects]``; NaN where not defined.
    """
    n_objects = confusions.shape[1]
    one_hot = jax.nn.one_hot(truth, n_objects, dtype=confusions.dtype)

    def object_mean(x):  # over the images of each object, NaN left out: [objects, objects]
        known = ~jnp.isnan(x)
        total = one_hot.T @ jnp.where(known, x, 0)
        count = one_hot.T @ known.astype(x.dtype)
        return jnp.where(count > 0, total / jnp.maximum(count, 1), jnp.nan)

    false_alarms = object_mean(confusions).T[truth]  # images of d, choosing the image's object
    d = jnp.clip(ndtri(1 - confusions) - ndtri(false_alarms), -_MOST, _MOST)
    return d - object_mean(d)[truth] if normalise else d


def i2n(model: Any, human: Any) -> jax.Array:
    """Pearson's r of two i2n matrices over the cells that both have.

    Args:
        model: ``[images, objects]``, NaN where unknown.
        human: likewise.

    Returns:
        The correlation.

    Raises:
        InputError: if shapes differ or fewer than 3 cells are left.
    """
    model, human = jnp.asarray(model), jnp.asarray(human)
    if model.shape != human.shape:
        raise InputError(
            f"i2n matrices are {model.shape} and {human.shape}; must be the same images"
        )
    both = jnp.isfinite(model) & jnp.isfinite(human)
    if checks.known(both) and int(both.sum()) < 3:
        raise InputError(f"i2n: {int(both.sum())} cells are known in both matrices, needs 3")
    return _masked_correlation(model, human, both)


def i2n_consistency(
    probabilities: Any, trials: Trials, truth: Any, orders: Any, *, normalise: bool = True
) -> tuple[jax.Array, jax.Array]:
    """Model consistency and its ceiling for random halves of the trials.

    Args:
        probabilities: the model's readout ``[images, objects]``.
        trials: the human trials.
        truth: object of each image ``[images]``.
        orders: random orders of the trials ``[repetitions, trials]``; each is cut in two halves.
        normalise: False for i2.

    Returns:
        r of the model with the first half, and of the first half with the second, each
        ``[repetitions]``. The normalised score is ``ceiled(r, ceiling, "root")``.

    Raises:
        InputError: as :func:`human_confusions` and :func:`i2n`.
    """
    probabilities = checks.floats(probabilities, "probabilities", 2)
    n_objects = probabilities.shape[1]
    truth = np.asarray(truth)
    model = discriminability(model_confusions(probabilities, truth), truth, normalise)
    scores, ceilings = [], []
    for order in np.asarray(orders):
        first, second = (
            discriminability(
                human_confusions(Trials(*(np.asarray(x)[rows] for x in trials)), truth, n_objects),
                truth,
                normalise,
            )
            for rows in (order[: len(order) // 2], order[len(order) // 2 :])
        )
        scores.append(i2n(model, first))
        ceilings.append(i2n(first, second))
    return jnp.stack(scores), jnp.stack(ceilings)


def error_consistency(correct_a: Any, correct_b: Any) -> jax.Array:
    """Cohen's kappa of two observers' correctness: agreement beyond what accuracies imply.

    Args:
        correct_a: whether the first observer was right, ``[..., trials]``.
        correct_b: the second, likewise.

    Returns:
        kappa ``[...]``, in [-1, 1]; NaN where chance agreement is complete.

    Raises:
        InputError: if shapes differ.
    """
    a, b = (jnp.asarray(x).astype(jnp.result_type(float)) for x in (correct_a, correct_b))
    if a.shape != b.shape:
        raise InputError(f"correctness is {a.shape} and {b.shape}; must be the same trials")
    observed = (a == b).mean(-1, dtype=a.dtype)
    p, q = a.mean(-1), b.mean(-1)
    expected = p * q + (1 - p) * (1 - q)
    return (observed - expected) / (1 - expected)


@checks.compiled(static=("n_images", "n_objects"))
def _rates(image, distractor, choice, n_images, n_objects):
    cell = image.astype(jnp.int32) * n_objects + distractor
    dtype = jnp.result_type(float)
    offered = jnp.zeros(n_images * n_objects, dtype).at[cell].add(1)
    chosen = jnp.zeros_like(offered).at[cell].add((choice == distractor).astype(dtype))
    rates = jnp.where(offered > 0, chosen / jnp.maximum(offered, 1), jnp.nan)
    return rates.reshape(n_images, n_objects)


@checks.compiled
def _masked_correlation(a, b, mask):
    weight = mask / mask.sum()
    a, b = (jnp.where(mask, x, 0) for x in (a, b))
    a, b = (jnp.where(mask, x - (weight * x).sum(), 0) for x in (a, b))
    return (a * b).sum() / jnp.sqrt(jnp.square(a).sum() * jnp.square(b).sum())

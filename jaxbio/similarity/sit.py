"""Similarity to IT (SIT): RDM correlation over random draws of images, with matched noise.

Only object means enter an RDM, and the mean of 8 images with independent normal noise is the mean
of the images plus one normal variable. So what the published procedure draws per image is drawn
per object here: an eighth of the random numbers, the same distribution. Means and variances of all
draws are products with 0/1 matrices that say which images were drawn.

Reference:
    Singh et al., "neural-finetuning"; Cadieu et al. 2014, PLoS Comput Biol 10.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxbio.errors import InputError
from jaxbio.similarity import checks
from jaxbio.similarity.compare import embed
from jaxbio.similarity.crossval import draw_per_object, members
from jaxbio.similarity.noise import CADIEU_IT, NeuralNoise, _match_noise, prepare
from jaxbio.similarity.rdm import upper

_SPLITS_AT_ONCE = 4


class SIT(NamedTuple):
    """Similarity to IT.

    Attributes:
        mean: mean over draws.
        std: population standard deviation over draws.
        scores: Spearman's rho of each draw ``[draws]``.
    """

    mean: jax.Array
    std: jax.Array
    scores: jax.Array


def sit(
    model: Any,
    neural: Any,
    objects: Any,
    key: jax.Array | None = None,
    *,
    n_splits: int = 100,
    images_per_object: int = 8,
    noise: NeuralNoise | None = CADIEU_IT,
    images: Any = None,
    normal_noise: Any = None,
    names: tuple[str, str] = ("model", "neural"),
) -> SIT:
    """Spearman correlation of the object RDMs of model and recordings.

    For each draw: some images of every object; the model's features matched to the recordings'
    signal and noise on these images (:func:`jaxbio.similarity.match_noise`); RDMs of object means
    (1 - Pearson's r); Spearman's rho of the upper triangles.

    Args:
        model: features ``[n, p]``.
        neural: responses to the same images, ``[n, q]``.
        objects: object of each image ``[n]``, any labels.
        key: draws images and noise. Not needed where both are given, or the noise is None.
        n_splits: number of draws.
        images_per_object: images of each object in a draw.
        noise: parameters of the recordings' noise, or None to compare features as they are (another
            recording, for instance).
        images: the images of each draw instead of random ones, ``[draws, images]`` indices.
        normal_noise: with ``images``: the standard-normal sample of each draw, ``[draws, images,
            p]``, for exact comparisons with other programs.
        names: what the arrays are called in errors.

    Returns:
        Mean, standard deviation and all scores.

    Raises:
        InputError: if shapes do not fit, values are NaN, the features are constant, an object has
            too few images or there are fewer than 3 objects, or a key is missing.

    Example:
        >>> sit(features, recordings, objects, jax.random.key(0)).mean
        Array(0.531, dtype=float32)
    """
    model, neural = prepare(model, neural, noise, names)
    index, n_objects = checks.whole_labels(objects, len(neural), "objects")
    if n_objects < 3:
        raise InputError(
            f"SIT compares RDMs of objects and needs at least 3, there are {n_objects}"
        )
    if key is None and (images is None or (noise is not None and normal_noise is None)):
        raise InputError("sit needs a random key to draw images and noise")
    if normal_noise is not None:
        if images is None or noise is None:
            raise InputError("normal_noise belongs to given images and a noise model")
        scores = _given_noise(model, neural, index, n_objects, images, normal_noise, noise)
        return SIT(scores.mean(), scores.std(), scores)

    table, counts = members(index, n_objects)
    draw_key: Any
    chosen: Any
    draw_key, noise_key = (None, None) if key is None else jax.random.split(key)
    if images is None:
        if images_per_object > counts.min() or images_per_object < 1:
            raise InputError(
                f"images_per_object={images_per_object}, but an object has {counts.min()} images"
            )
        chosen = draw_per_object(
            draw_key, jnp.asarray(counts), table.shape[1], images_per_object, n_splits
        )
    else:
        chosen = _selection(np.asarray(images), index, table, counts)
    regular = np.array_equal(table.ravel(), np.arange(len(neural)))
    scores = _scores(
        model, neural, None if regular else table, jnp.asarray(chosen), noise_key, noise
    )
    return SIT(scores.mean(), scores.std(), scores)


def _selection(images, index, table, counts) -> np.ndarray:
    """0/1 matrices ``[draws, objects, most]`` of drawn images given as indices."""
    if images.ndim != 2 or images.min() < 0 or images.max() >= len(index):
        raise InputError(f"images is {images.shape}, must be [draws, images] within {len(index)}")
    chosen = np.zeros((len(images), *table.shape), np.float32)
    place = np.zeros(len(index), np.int64)
    for row, count in zip(table, counts, strict=True):
        place[row[:count]] = np.arange(count)
    draw = np.arange(len(images)).repeat(images.shape[1])
    np.add.at(chosen, (draw, index[images.ravel()], place[images.ravel()]), 1)
    if (chosen.sum(2) == 0).any():
        raise InputError("images: a draw has no image of some object")
    return chosen


@checks.compiled(static=("noise",))
def _scores(model, neural, table, chosen, key, noise):
    """Scores of draws ``[draws]`` from selections ``[draws, objects, images]``."""
    draws, n_objects, most = chosen.shape
    chosen = chosen.astype(model.dtype)
    per_object = chosen.sum(2)
    total = per_object.sum(1)

    def by_object(x):  # [objects, most, p]
        return (x if table is None else x[table]).reshape(n_objects, most, x.shape[-1])

    def sums(x):  # over the drawn images: [objects, draws, p]
        return jnp.matmul(chosen.swapaxes(0, 1), by_object(x))

    def moments(x, shift):  # variance and mean over all entries of the drawn images, each [draws]
        rows = by_object(jnp.stack([(x - shift).sum(1), jnp.square(x - shift).sum(1)], 1))
        first, second = jnp.einsum("doi,oik->kd", chosen, rows) / (total * x.shape[1])[None]
        return second - jnp.square(first), first + shift

    rank_neural = embed(_correlations(sums(neural).swapaxes(0, 1)), "spearman")
    if noise is None:
        rank_model = embed(_correlations(sums(model).swapaxes(0, 1)), "spearman")
        return (rank_neural * rank_model).sum(1)

    a, b, root = noise.slope, noise.offset, noise.repetitions**0.5
    variance_neural, mean_neural = moments(neural, neural.mean())
    variance_model, _ = moments(model, model.mean())
    deviation = (a * mean_neural + b) ** 2 + a**2 * variance_neural  # mean of (a x + b)^2
    scale = jnp.sqrt((variance_neural - deviation / root**2) / variance_model)
    first, second = sums(model), sums(jnp.square(model))
    dtype = model.dtype
    n_features = model.shape[1]

    def block(args):
        number, scale, count = args  # of one draw
        x = scale * lax.dynamic_index_in_dim(first, number, 1, False)
        square = scale**2 * lax.dynamic_index_in_dim(second, number, 1, False)
        variance = a**2 * square + 2 * a * b * x + b**2 * count[:, None]
        z = jax.random.normal(jax.random.fold_in(key, number), (n_objects, n_features), dtype)
        return _correlations(x + jnp.sqrt(jnp.maximum(variance, 0)) * z / root)

    # A few draws at once: what they need stays in a processor's cache.
    rdms = lax.map(
        block,
        (jnp.arange(draws, dtype=jnp.int32), scale, per_object),
        batch_size=_SPLITS_AT_ONCE,
    )
    return (rank_neural * embed(rdms, "spearman")).sum(1)


def _given_noise(model, neural, index, n_objects, images, z, noise) -> jax.Array:
    """Scores of given images with a given noise sample per image."""
    images = np.asarray(images)
    _selection(images, index, *members(index, n_objects))
    z = checks.floats(z, "normal_noise", 3)
    expected = (*images.shape, model.shape[1])
    if z.shape != expected:
        raise InputError(f"normal_noise is {z.shape}, must be {expected}")
    one_hot = np.stack([np.eye(n_objects)[index[row]].T for row in images])
    return _scores_of_noise(model, neural, images, z, jnp.asarray(one_hot, model.dtype), noise)


@checks.compiled(static=("noise",))
def _scores_of_noise(model, neural, images, z, one_hot, noise):
    def one(args):
        rows, z, one_hot = args
        x = _match_noise(model[rows], neural[rows], z, noise)
        rdms = jnp.stack([_correlations(one_hot @ y) for y in (x, neural[rows])])
        a, b = embed(rdms, "spearman")
        return a @ b

    return lax.map(one, (images, z, one_hot))


def _correlations(sums: jax.Array) -> jax.Array:
    """Upper triangles of 1 - Pearson's r between objects ``[..., k, p]``; sums serve as means."""
    x = embed(sums, "pearson")
    return 1 - upper(x @ x.mT)

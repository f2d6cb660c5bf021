"""Signs of gradient masking: an attack that fails is not a model that is robust.

Reference:
    Athalye, Carlini & Wagner 2018, "Obfuscated Gradients Give a False Sense of Security", and
    Carlini et al. 2019, "On Evaluating Adversarial Robustness" (the list of checks).
"""

import math

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxbio.attacks.objective import Model, make_objective


def gradient_health(
    model: Model,
    images: Array,
    labels: ArrayLike,
    key: Array,
    *,
    stochastic: bool = False,
    indices: ArrayLike | None = None,
) -> tuple[Array, Array]:
    """Which images have a gradient to follow.

    Args:
        model: as in :func:`jaxbio.attacks.pgd`.
        images: ``[N, H, W, C]`` in [0, 1].
        labels: ``[N]``.
        key: of the model's noise.
        stochastic: whether the model takes a key.
        indices: ``[N]`` numbers of the examples.

    Returns:
        ``[N]`` whether the gradient of the cross-entropy is zero everywhere, and ``[N]`` whether it
        has values that are not finite.

    Raises:
        InputError: images or labels that do not fit.
    """
    images = jnp.asarray(images)
    objective, keys = make_objective(
        model, images, labels, key, stochastic=stochastic, indices=indices
    )
    _, _, gradient = objective.climb(images, keys)
    axes = tuple(range(1, images.ndim))
    return (gradient == 0).all(axes), ~jnp.isfinite(gradient).all(axes)


def masking_warnings(
    attacked: float,
    count: int,
    *,
    one_step: float | None = None,
    unbounded: float | None = None,
    chance: float = 0.0,
    noise_off: float | None = None,
    more_samples: float | None = None,
    transferred: float | None = None,
    flat: float = 0.0,
    not_finite: float = 0.0,
) -> list[str]:
    """What speaks against reading an accuracy under attack as robustness.

    Accuracies are in [0, 1] and of the same images. A difference counts above two standard errors
    of a difference of two shares of ``count`` images.

    Args:
        attacked: accuracy under the attack that is reported.
        count: images.
        one_step: accuracy under one step of length epsilon.
        unbounded: accuracy under the attack with the whole box as its ball.
        chance: accuracy of guessing, which an unbounded attack has to reach or undercut.
        noise_off: accuracy under the attack of the same model without its noise.
        more_samples: accuracy under the attack with several times the gradient samples.
        transferred: accuracy on images made against another network.
        flat: share of images whose gradient is zero.
        not_finite: share of images whose gradient has NaN or infinite values.

    Returns:
        Sentences; empty where nothing was found.
    """
    # Where both shares are 0 or 1 their errors are not: one image more or less remains possible.
    share = min(max(attacked, 1 / count), 1 - 1 / count) if count > 1 else 0.5
    slack = 2 * math.sqrt(2 * share * (1 - share) / count)

    def percent(value: float) -> str:
        return f"{100 * value:.1f} %"

    found = []
    if one_step is not None and one_step < attacked - slack:
        found.append(
            f"one step leaves {percent(one_step)} accuracy, many steps {percent(attacked)}: the "
            "loss is not smooth where the attack walks; use more restarts, or another loss"
        )
    if unbounded is not None and unbounded > chance + slack:
        found.append(
            f"with the whole box to move in, the attack leaves {percent(unbounded)} accuracy where "
            "0 is possible: it cannot find the way, whatever epsilon"
        )
    if noise_off is not None and abs(noise_off - attacked) > slack:
        found.append(
            f"accuracy is {percent(attacked)} with the model's noise and {percent(noise_off)} "
            "without: part of it is noise in the gradient; report both"
        )
    if more_samples is not None and more_samples < attacked - slack:
        found.append(
            f"more gradient samples bring accuracy from {percent(attacked)} to "
            f"{percent(more_samples)}: raise the samples until it no longer falls"
        )
    if transferred is not None and transferred < attacked - slack:
        found.append(
            f"images made against another network leave {percent(transferred)} accuracy, those "
            f"made against this one {percent(attacked)}: its own gradients are the worse guide"
        )
    if flat > 0:
        found.append(
            f"{percent(flat)} of the images have a gradient of zero: no attack by gradients can "
            "move them"
        )
    if not_finite > 0:
        found.append(f"{percent(not_finite)} of the images have a gradient that is not finite")
    return found

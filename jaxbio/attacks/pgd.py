"""Projected gradient descent (Madry et al. 2018)."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxbio.attacks import ball
from jaxbio.attacks.objective import (
    Attacked,
    Model,
    best_of_restarts,
    make_objective,
    noise_keys,
    start_keys,
)
from jaxbio.errors import InputError


def pgd(
    model: Model,
    images: Array,
    labels: ArrayLike,
    key: Array,
    epsilon: ArrayLike,
    *,
    norm: str = "linf",
    steps: int = 40,
    step: float | None = None,
    restarts: int = 1,
    random_start: bool = True,
    loss: str = "ce",
    targets: ArrayLike | None = None,
    samples: int = 1,
    stochastic: bool = False,
    indices: ArrayLike | None = None,
    quantile: float = 0.0,
    keep: str = "best",
) -> Attacked:
    """Attacks images by steps along the normalised gradient, each projected back into the ball.

    One loop, to be compiled together with the model; variables are arguments, so that the program
    does not hold them as constants:

        @jax.jit
        def attack(variables, images, labels, epsilon, indices):
            def model(x):
                return net.apply(variables, preprocessing.normalise(255 * x))[0]
            return pgd(model, images, labels, key, epsilon, steps=20, indices=indices)

    Args:
        model: ``images [N, H, W, C] -> logits [N, K]``, normalisation included; a stochastic one is
            ``(images, key) -> logits``, and gets every image alone with a key of its own.
        images: ``[N, H, W, C]`` float32 in [0, 1].
        labels: ``[N]`` integers.
        key: of the starts and of the model's noise.
        epsilon: radius of the ball, a number or ``[N]``; see :func:`jaxbio.attacks.ball.epsilons`.
        norm: ``linf``, ``l2`` or ``l1``.
        steps: how many gradients are followed.
        step: length of a step relative to epsilon; default 2.5 / steps (Madry et al.).
        restarts: attempts from different starts, side by side; each image keeps its best.
        random_start: begin at a uniform draw from the ball instead of at the image.
        loss: ``ce``, ``dlr`` (Croce & Hein 2020) or ``margin`` (Carlini & Wagner 2017).
        targets: ``[N]`` classes that the model is to say; None: any wrong one.
        samples: gradients averaged in every step over the noise of a stochastic model (expectation
            over transformation, Athalye et al. 2018).
        stochastic: whether the model takes a key.
        indices: ``[N]`` numbers of the examples in their data set; an example's draws depend on the
            key and its number alone. Default: positions in the batch.
        quantile: for ``l1``, see :func:`jaxbio.attacks.ball.direction`.
        keep: ``best``, the iterate with the highest margin, or ``last``, as Foolbox returns it.

    Returns:
        Attacked images. Where the model is stochastic, the verdict is on noise that the attack has
        not seen.

    Raises:
        InputError: an argument out of its range.

    Reference:
        Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks";
        L1 steps: Foolbox 3 (Rauber et al. 2020) and, with ``quantile``, Tramèr & Boneh 2019.
    """
    images = jnp.asarray(images)
    step = check_options(norm, steps, 2.5 / max(steps, 1) if step is None else step, restarts)
    if not 0 <= quantile < 1:
        raise InputError(f"quantile={quantile}: 0 (the whole gradient) or more, below 1")
    if keep not in ("best", "last"):
        raise InputError(f"keep={keep!r}: use best or last")
    objective, keys = make_objective(
        model,
        images,
        labels,
        key,
        loss=loss,
        targets=targets,
        samples=samples,
        stochastic=stochastic,
        indices=indices,
    )
    epsilon = ball.epsilons(epsilon, images, norm)
    length = ball.per_image(epsilon * step, images)

    def attempt(keys: Array) -> tuple[Array, Array]:
        def move(carry: tuple[Array, Array, Array], number: Array):
            x, best, highest = carry
            _, margins, gradient = objective.climb(x, noise_keys(keys, number))
            if keep == "best":
                best, highest = better(best, highest, x, margins)
            x = x + length * ball.direction(gradient, x, norm, quantile)
            return (ball.project(x, images, epsilon, norm), best, highest), None

        start = images
        if random_start:
            start = ball.random_start(start_keys(keys), images, epsilon, norm)
        nothing = jnp.full(len(images), -jnp.inf)
        (x, best, highest), _ = lax.scan(move, (start, start, nothing), jnp.arange(steps))
        margins = objective.margins(x, noise_keys(keys, steps))
        return better(best, highest, x, margins) if keep == "best" else (x, margins)

    return best_of_restarts(objective, attempt, keys, restarts)


def better(best: Array, highest: Array, x: Array, margins: Array) -> tuple[Array, Array]:
    """Of two batches of images, each image with the higher margin; and that margin."""
    ahead = margins > highest
    return jnp.where(ball.per_image(ahead, x), x, best), jnp.where(ahead, margins, highest)


def check_options(norm: str, steps: int, step: float, restarts: int) -> float:
    """Checks what attacks share; returns the step.

    Raises:
        InputError: out of range.
    """
    if norm not in ball.NORMS:
        raise InputError(f"norm={norm!r}: use one of {', '.join(ball.NORMS)}")
    for name, value in (("steps", steps), ("restarts", restarts)):
        if value < 1:
            raise InputError(f"{name}={value}: 1 or more")
    if not isinstance(step, jax.core.Tracer) and not 0 < step < float("inf"):
        raise InputError(f"step={step}: above 0, relative to epsilon")
    return step

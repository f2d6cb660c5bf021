"""Auto-PGD: the step size follows the attack's own progress (Croce & Hein 2020)."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
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
from jaxbio.attacks.pgd import better, check_options
from jaxbio.errors import InputError

_MOMENTUM = 0.75
_ENOUGH_INCREASES = 0.75


class _State(NamedTuple):
    """Of one attempt; every leaf begins with the images' axis."""

    x: Array
    before: Array  # the iterate before x
    gradient: Array  # at x
    loss: Array  # at x
    length: Array  # of a step
    top: Array  # the iterate with the highest loss, its loss and gradient
    top_loss: Array
    top_gradient: Array
    increases: Array  # of the loss since the last checkpoint
    halved: Array  # whether the last checkpoint halved the step
    old_top_loss: Array  # at the last checkpoint
    best: Array  # the iterate with the highest margin
    margin: Array


def apgd(
    model: Model,
    images: Array,
    labels: ArrayLike,
    key: Array,
    epsilon: ArrayLike,
    *,
    norm: str = "linf",
    steps: int = 100,
    restarts: int = 1,
    loss: str = "ce",
    targets: ArrayLike | None = None,
    samples: int = 1,
    stochastic: bool = False,
    indices: ArrayLike | None = None,
) -> Attacked:
    """Attacks images without a step size to choose.

    Steps begin at 2 epsilon, with momentum; at checkpoints that come ever more often, an image
    whose loss has not grown enough halves its step and goes on from its best iterate.

    Args:
        model: as in :func:`jaxbio.attacks.pgd`, like all other arguments.
        images: ``[N, H, W, C]`` float32 in [0, 1].
        labels: ``[N]`` integers.
        key: of the starts and of the model's noise.
        epsilon: radius of the ball, a number or ``[N]``.
        norm: ``linf`` or ``l2``.
        steps: how many.
        restarts: attempts side by side.
        loss: ``ce``, ``dlr`` or ``margin``.
        targets: ``[N]`` classes that the model is to say; None: any wrong one.
        samples: gradients averaged over the noise of a stochastic model.
        stochastic: whether the model takes a key.
        indices: ``[N]`` numbers of the examples in their data set.

    Returns:
        Attacked images.

    Raises:
        InputError: an argument out of its range.

    Reference:
        Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
        diverse parameter-free attacks", algorithm 1.
    """
    images = jnp.asarray(images)
    check_options(norm, steps, 2.0, restarts)
    if norm == "l1":
        raise InputError("norm='l1': APGD is defined for linf and l2; use pgd")
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
    windows = jnp.asarray(checkpoints(steps))

    def attempt(keys: Array) -> tuple[Array, Array]:
        def move(s: _State, inputs: tuple[Array, Array]):
            number, window = inputs
            ahead = s.x + ball.per_image(s.length, s.x) * ball.direction(s.gradient, s.x, norm)
            ahead = ball.project(ahead, images, epsilon, norm)
            share = jnp.where(number > 0, _MOMENTUM, 1.0)
            x = s.x + share * (ahead - s.x) + (1 - share) * (s.x - s.before)
            x = ball.project(x, images, epsilon, norm)
            loss, margin, gradient = objective.climb(x, noise_keys(keys, number + 1))
            best, highest = better(s.best, s.margin, x, margin)
            rise = loss > s.top_loss
            wide = ball.per_image(rise, x)
            s = s._replace(
                x=x,
                before=s.x,
                gradient=gradient,
                loss=loss,
                top=jnp.where(wide, x, s.top),
                top_loss=jnp.where(rise, loss, s.top_loss),
                top_gradient=jnp.where(wide, gradient, s.top_gradient),
                increases=s.increases + (loss > s.loss),
                best=best,
                margin=highest,
            )
            return _checkpoint(s, window), None

        start = ball.random_start(start_keys(keys), images, epsilon, norm)
        loss, margin, gradient = objective.climb(start, noise_keys(keys, 0))
        state = _State(
            x=start,
            before=start,
            gradient=gradient,
            loss=loss,
            length=2.0 * epsilon,
            top=start,
            top_loss=loss,
            top_gradient=gradient,
            increases=jnp.zeros(len(images), jnp.int32),
            halved=jnp.ones(len(images), bool),
            old_top_loss=loss,
            best=start,
            margin=margin,
        )
        state, _ = lax.scan(move, state, (jnp.arange(steps), windows))
        return state.best, state.margin

    return best_of_restarts(objective, attempt, keys, restarts)


def checkpoints(steps: int) -> np.ndarray:
    """``[steps]`` int32: at a checkpoint the number of steps since the last one, elsewhere 0.

    The first window is 22 % of the steps, each further one 3 % shorter, none below 6 %.
    """
    window, least, less = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    windows = np.zeros(steps, np.int32)
    end = window
    while end <= steps:
        windows[end - 1] = window
        window = max(window - less, least)
        end += window
    return windows


def _checkpoint(s: _State, window: Array) -> _State:
    few = s.increases <= _ENOUGH_INCREASES * window
    halve = few | (~s.halved & (s.old_top_loss >= s.top_loss))
    at_checkpoint = window > 0
    back = halve & at_checkpoint
    wide = ball.per_image(back, s.x)
    return s._replace(
        x=jnp.where(wide, s.top, s.x),
        gradient=jnp.where(wide, s.top_gradient, s.gradient),
        # The loss of the step before is that of the iterate left, as published.
        length=jnp.where(back, s.length / 2, s.length),
        increases=jnp.where(at_checkpoint, 0, s.increases),
        halved=jnp.where(at_checkpoint, halve, s.halved),
        old_top_loss=jnp.where(at_checkpoint, s.top_loss, s.old_top_loss),
    )

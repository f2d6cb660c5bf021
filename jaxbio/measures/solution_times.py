"""From logits at every time step to what is right when, and from when on."""

import jax
import jax.numpy as jnp


def correct_over_time(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Whether the right class leads at each step; a tie counts against the model.

    Args:
        logits: ``[T, B, K]``, ``endpoints["logits"]`` of a model with ``readout="all"``.
        labels: ``[B]`` int, 0..K-1.

    Returns:
        ``[T, B]`` bool.
    """
    own = jnp.take_along_axis(logits, labels.reshape(1, -1, 1), axis=-1)
    return jnp.sum(~(logits < own), axis=-1) == 1  # no class but the right one


def solution_steps(correct: jax.Array, arrival: int = 0) -> jax.Array:
    """Object-solution times: the step from which on an image is classified correctly.

    Args:
        correct: ``[T, B]`` bool, see :func:`correct_over_time`.
        arrival: first step at which the readout depends on the image; earlier hits are chance.

    Returns:
        ``[B]`` int32: the first step, ``arrival`` or later, from which on the answer is right to
        the last step; -1 if the last one is wrong.

    Reference:
        Kar et al. 2019, "Evidence that recurrent circuits are critical to the ventral stream's
        execution of core object recognition behavior", Nature Neuroscience 22 (the notion; there
        the time at which a neural decoder reaches behavioural accuracy).
    """
    stays = jax.lax.cummin(correct.astype(jnp.int32), axis=0, reverse=True)
    steps = jnp.arange(len(correct)).reshape(-1, 1)
    stays = stays * (steps >= arrival)
    return jnp.where(stays.any(0), jnp.argmax(stays, axis=0), -1).astype(jnp.int32)

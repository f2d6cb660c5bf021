"""What a classifier answers, picture by picture."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from jaxbio.runs.mesh import put_batches
from jaxbio.tasks.classification.opened import Session
from jaxbio.tasks.classification.step import make_answer

Step = Callable[[dict[str, Any], dict[str, jax.Array]], jax.Array]


def make_step(session: Session) -> Step:
    """The jitted forward pass of :func:`predict`: variables and a batch to ``[B, K]``."""
    answer = make_answer(
        session.model, session.preprocessing, seed=session.config.seed, classes=session.classes
    )

    @jax.jit
    def step(variables: dict[str, Any], batch: dict[str, jax.Array]) -> jax.Array:
        logits, _ = answer(variables, batch)
        return jax.nn.softmax(logits.astype(np.float32))

    return step


def predict(
    session: Session, batches: Iterable[dict[str, Any]], step: Step | None = None
) -> np.ndarray:
    """Class probabilities ``[N, K]`` float32 in evaluation mode, in the pictures' order.

    Args:
        session: the model.
        batches: dicts with ``image`` uint8 ``[B, S, S, 3]``, ``index`` and ``mask`` ``[B]``;
            pictures with a False mask are left out.
        step: from :func:`make_step`, for many calls; None makes one.
    """
    step = make_step(session) if step is None else step
    found = []
    for batch in put_batches(batches, session.mesh):
        found.append(np.asarray(step(session.variables, batch))[np.asarray(batch["mask"])])
    return np.concatenate(found)

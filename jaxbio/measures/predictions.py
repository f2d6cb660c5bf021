"""What a classifier answers, picture by picture."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxbio.runs.mesh import put_batches
from jaxbio.tasks.classification.opened import Session
from jaxbio.tasks.classification.step import make_answer


class Predictions(NamedTuple):
    """Answers to pictures, in their order.

    Attributes:
        probabilities: float32 ``[N, K]``.
        labels: int ``[N]``; whatever the batches had.
    """

    probabilities: np.ndarray
    labels: np.ndarray

    @property
    def top1(self) -> np.ndarray:
        """Int ``[N]``: the likeliest class."""
        return self.probabilities.argmax(axis=1)


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
) -> Predictions:
    """Class probabilities in evaluation mode.

    Args:
        session: the model.
        batches: dicts with ``image`` uint8 ``[B, S, S, 3]``, ``label``, ``index`` and ``mask``
            ``[B]``; pictures with a False mask are left out.
        step: from :func:`make_step`, for many calls; None makes one.
    """
    step = make_step(session) if step is None else step
    found, labels = [], []
    for batch in put_batches(batches, session.mesh):
        mask = np.asarray(batch["mask"])
        found.append(np.asarray(step(session.variables, batch))[mask])
        labels.append(np.asarray(batch["label"])[mask])
    return Predictions(np.concatenate(found), np.concatenate(labels))

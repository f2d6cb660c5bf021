"""Exact test accuracy: every example counts once, whatever the batch size and device count."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from jaxbio.runs.mesh import put_batches
from jaxbio.tasks.classification.losses import summarise

EvalStep = Callable[[dict[str, Any], dict[str, jax.Array]], dict[str, jax.Array]]

_add = jax.jit(lambda a, b: jax.tree.map(jax.numpy.add, a, b), donate_argnums=0)


def evaluate(
    eval_step: EvalStep,
    variables: dict[str, Any],
    batches: Iterable[dict[str, np.ndarray]],
    mesh: Mesh,
) -> dict[str, float]:
    """Runs a model over a test set.

    Sums stay on the device until the end: one transfer in all.

    Args:
        eval_step: jitted step of :func:`jaxbio.tasks.classification.step.make_eval_step`.
        variables: the model's.
        batches: from :func:`jaxbio.data.eval_batches`.
        mesh: from :func:`jaxbio.runs.mesh.make_mesh`.

    Returns:
        ``loss`` (nats), ``top1`` and ``top5`` in [0, 1], and ``count``.

    Raises:
        ValueError: there are no examples.
    """
    sums = None
    for batch in put_batches(batches, mesh):
        new = eval_step(variables, batch)
        sums = new if sums is None else _add(sums, new)
    if sums is None:
        raise ValueError("the test set is empty")
    return summarise(jax.device_get(sums))


def accuracy_rows(measured: dict[str, float]) -> list[tuple[str, str]]:
    """The result of :func:`evaluate` as the rows of a table."""
    return [
        ("top-1 accuracy", f"{100 * measured['top1']:.2f} %"),
        ("top-5 accuracy", f"{100 * measured['top5']:.2f} %"),
        ("loss", f"{measured['loss']:.4f}"),
        ("images", str(measured["count"])),
    ]

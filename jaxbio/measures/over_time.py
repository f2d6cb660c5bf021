"""What a recurrent network knows at every time step: accuracy, object-solution times, figures."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.errors import InputError
from jaxbio.measures.publishing import identity, publish
from jaxbio.ops.images import normalise
from jaxbio.plotting.recurrence import (
    plot_accuracy_over_time,
    plot_activation_maps,
    plot_rdms_over_time,
)
from jaxbio.plotting.saving import save_figure
from jaxbio.runs.mesh import put_batches
from jaxbio.runs.progress import format_table
from jaxbio.similarity.rdm import rdm
from jaxbio.tasks.classification.build import build_model
from jaxbio.tasks.classification.opened import Session

_SHOWN_IMAGES = 40  # in an RDM


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
      ``[B]`` int32: the first step, ``arrival`` or later, from which on the answer is right to the
      last step; -1 if the last one is wrong.

    Reference:
      Kar et al. 2019, "Evidence that recurrent circuits are critical to the ventral stream's
      execution of core object recognition behavior", Nature Neuroscience 22 (the notion; there the
      time at which a neural decoder reaches behavioural accuracy).
    """
    stays = jax.lax.cummin(correct.astype(jnp.int32), axis=0, reverse=True)
    steps = jnp.arange(len(correct)).reshape(-1, 1)
    stays = stays * (steps >= arrival)
    return jnp.where(stays.any(0), jnp.argmax(stays, axis=0), -1).astype(jnp.int32)


def report_time(session: Session) -> dict[str, Any]:
    """Accuracy at every time step and object-solution times over the exact test set.

    Writes ``evaluation/time.json`` and, where one process does it all, three figures into
    ``report/``: accuracy over time; the activation maps of the first test image; the RDMs of every
    area over the first test images.

    Args:
      session: a run of a CORnet.

    Returns:
      What the JSON file holds: ``top1`` per step, ``arrival_steps``, ``solution_steps`` (images per
      step), ``never_solved``, ``count``.

    Raises:
      InputError: the network has no time.
    """
    try:
        model = build_model({**session.arguments, "readout": "all"})
    except InputError as error:
        raise InputError(
            f"mode=time needs a network with readout='all', such as cornet_rt: {error}"
        ) from error
    arrival = model.arrival_steps
    data = session.config.data

    @jax.jit
    def step(variables, batch):
        key = jax.random.fold_in(jax.random.key(session.config.seed), batch["index"][0])
        images = normalise(batch["image"], data.mean, data.std)
        _, endpoints = model.apply(variables, images, rngs={"noise": key})
        logits = endpoints["logits"]
        correct = correct_over_time(logits, batch["label"])
        steps = solution_steps(correct, max(arrival.values()))
        mask = batch["mask"]
        solved = jax.nn.one_hot(steps, len(logits)) * mask.reshape(-1, 1)  # -1: no row
        sums = {
            "top1": jnp.sum(correct * mask.reshape(1, -1), axis=1),
            "solved": jnp.sum(solved, axis=0),
            "count": jnp.sum(mask),
        }
        return sums, {name: endpoints[name] for name in arrival}

    totals, first = None, None
    for batch in put_batches(session.batches(), session.mesh):
        sums, areas = step(session.variables, batch)
        totals = sums if totals is None else jax.tree.map(jnp.add, totals, sums)
        if first is None and jax.process_count() == 1:
            first = jax.device_get((batch, areas))
    totals = jax.device_get(totals)
    count = int(totals["count"])
    result = {
        **identity(session),
        "arrival_steps": arrival,
        "top1": [float(n) / count for n in totals["top1"]],
        "solution_steps": [int(n) for n in totals["solved"]],
        "never_solved": count - int(totals["solved"].sum()),
        "count": count,
    }
    rows = [("step", "top-1 %", "images solved from here on")]
    for i, (top1, solved) in enumerate(zip(result["top1"], result["solution_steps"], strict=True)):
        rows.append((str(i), f"{100 * top1:.2f}", str(solved)))
    publish(session, "time", result, format_table(rows))
    if first is not None:
        _save_figures(session, result, *first)
    return result


def _save_figures(
    session: Session, result: dict[str, Any], batch: dict[str, Any], areas: dict[str, np.ndarray]
) -> None:
    arrival = result["arrival_steps"]
    report = session.run.path / "report"
    name = session.arguments["name"]
    figure = plot_accuracy_over_time({name: result["top1"]}, max(arrival.values()))
    save_figure(figure, report / "accuracy_over_time.png")
    maps = {area: states[:, 0].mean(-1) for area, states in areas.items()}
    figure = plot_activation_maps(batch["image"][0] / 255, maps, arrival)
    save_figure(figure, report / "activation_over_time.png")
    real = np.flatnonzero(batch["mask"])
    chosen = real[np.argsort(batch["label"][real], kind="stable")][:_SHOWN_IMAGES]
    rdms = {area: _rdms(states[:, chosen], arrival[area]) for area, states in areas.items()}
    save_figure(plot_rdms_over_time(rdms, arrival), report / "rdms_over_time.png")


def _rdms(states: np.ndarray, arrival: int) -> np.ndarray:
    """Correlation distances ``[T, N, N]``; zero before the image arrives, when all are alike."""
    steps, n = states.shape[:2]
    rdms = np.zeros((steps, n, n), np.float32)
    rdms[arrival:] = rdm(states[arrival:].reshape(steps - arrival, n, -1))
    return rdms

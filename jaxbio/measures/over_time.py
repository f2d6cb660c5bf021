"""accuracy of a CORnet at every time step, object-solution times (docs/cornet.md)

Besides ``evaluation/time.json`` there are, where one process does it all, three figures in
``report/``: accuracy over time; the activation maps of a test image; the RDMs of every area over
some test images, drawn at random.
"""

import argparse
from typing import TYPE_CHECKING, Any

from jaxbio.errors import InputError
from jaxbio.measures.measure import always, identity, need_all_classes, publish, told
from jaxbio.runs.progress import format_table

if TYPE_CHECKING:
    import numpy as np

    from jaxbio.tasks.classification.opened import Session

NAME = "time"
_SHOWN_IMAGES = 40  # in an RDM


def options(add: Any) -> None:
    """No flags."""


needs_data = always


def run(session: "Session", options: argparse.Namespace) -> dict[str, Any]:
    """Measures the exact test set at every step; prints a table, writes JSON and figures.

    The result has ``top1`` per step, ``arrival_steps``, ``solution_steps`` (images per step),
    ``never_solved`` and ``count``.

    Raises:
        InputError: the network has no time.
    """
    import jax
    import jax.numpy as jnp

    from jaxbio.measures.sample import sampled_batches
    from jaxbio.measures.solution_times import correct_over_time, solution_steps
    from jaxbio.runs.mesh import put_batches
    from jaxbio.tasks.classification.build import build_model

    need_all_classes(session, NAME)
    try:
        model = build_model({**session.arguments, "readout": "all"})
    except InputError as error:
        raise InputError(
            f"mode=time needs a network with readout='all', such as cornet_rt: {error}"
        ) from error
    arrival = model.arrival_steps

    @jax.jit
    def step(variables, batch):
        key = jax.random.fold_in(jax.random.key(session.config.seed), batch["index"][0])
        images = session.preprocessing.normalise(batch["image"])
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

    totals = None
    batches = told(session.batches(), session.source.num_eval)
    for batch in put_batches(batches, session.mesh):
        sums, _ = step(session.variables, batch)
        totals = sums if totals is None else jax.tree.map(jnp.add, totals, sums)
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
    publish(session, NAME, result, format_table(rows))
    if jax.process_count() == 1:  # else several share the batch
        batch = next(iter(put_batches(sampled_batches(session, _SHOWN_IMAGES), session.mesh)))
        areas = step(session.variables, batch)[1]
        _save_figures(session, result, *jax.device_get((batch, areas)))
    return result


def _save_figures(
    session: "Session",
    result: dict[str, Any],
    batch: "dict[str, np.ndarray]",
    areas: "dict[str, np.ndarray]",
) -> None:
    """Of a sample of the test set, and the areas' activity ``[T, B, H, W, C]`` in it."""
    import numpy as np

    from jaxbio.plotting.recurrence import (
        plot_accuracy_over_time,
        plot_activation_maps,
        plot_rdms_over_time,
    )
    from jaxbio.runs.figures import save_figures

    arrival = result["arrival_steps"]
    areas = {area: areas[area] for area in arrival}  # jax sorts by name: IT before V1
    name = session.arguments["name"]
    accuracy = plot_accuracy_over_time(
        {name: result["top1"]},
        1 / session.arguments["num_classes"],
        result["count"],
        max(arrival.values()),
    )
    maps = {area: states[:, 0].mean(-1) for area, states in areas.items()}
    real = np.flatnonzero(batch["mask"])
    chosen = real[np.argsort(batch["label"][real], kind="stable")][:_SHOWN_IMAGES]
    rdms = {area: _rdms(states[:, chosen], arrival[area]) for area, states in areas.items()}
    figures = {
        "accuracy_over_time": accuracy,
        "activation_over_time": plot_activation_maps(batch["image"][0] / 255, maps, arrival),
        "rdms_over_time": plot_rdms_over_time(rdms, arrival, "correlation distance (1 - r)"),
    }
    save_figures(session.run, figures)


def _rdms(states: "np.ndarray", arrival: int) -> "np.ndarray":
    """Correlation distances ``[T, N, N]``; zero before the image arrives, when all are alike."""
    import numpy as np

    from jaxbio.similarity.rdm import rdm

    steps, n = states.shape[:2]
    rdms = np.zeros((steps, n, n), np.float32)
    rdms[arrival:] = rdm(states[arrival:].reshape(steps - arrival, n, -1))
    return rdms

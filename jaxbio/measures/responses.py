"""Figures of responses: by class, shifts per layer, activation curves; of one or several runs."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from jaxbio.measures.sample import sampled_batches
from jaxbio.ops.response import raa, raa2
from jaxbio.plotting.responses import (
    plot_activation_curves,
    plot_response_distributions,
    plot_shifts,
)
from jaxbio.runs.mesh import put_batches
from jaxbio.tasks.classification.arr import aggregate, choose_endpoints, endpoint_shapes
from jaxbio.tasks.classification.opened import Session

_QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def collect_responses(session: Session, endpoint: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Aggregated responses of an endpoint to the test set; "" takes the last block.

    Returns:
        Responses ``[N, C]`` and labels ``[N]``.

    Raises:
        InputError: the model has no such endpoint.
    """
    shapes = endpoint_shapes(session.model, session.config.data.image_size)
    name = choose_endpoints(endpoint or "default", shapes, session.model.blocks)[-1]

    @jax.jit
    def run(variables: dict[str, Any], batch: dict[str, jax.Array]) -> jax.Array:
        (_, endpoints), _ = _apply(session, variables, batch)
        return aggregate(name, endpoints[name])

    responses, labels = [], []
    for batch in put_batches(session.batches(), session.mesh):
        mask = np.asarray(batch["mask"])
        responses.append(np.asarray(run(session.variables, batch), np.float32)[mask])
        labels.append(np.asarray(batch["label"])[mask])
    return np.concatenate(responses), np.concatenate(labels)


def collect_shifts(session: Session) -> dict[str, np.ndarray]:
    """All shifts of a network's activations on a batch of the test set, drawn at random.

    Returns:
        Per layer, in the network's order, its shifts; empty if no activation has any.
    """

    def run(variables: dict[str, Any], batch: dict[str, jax.Array]) -> dict[str, Any]:
        return _apply(session, variables, batch)[1].get("shifts", {})

    sample = sampled_batches(session, session.config.eval.batch_size)
    batch = next(iter(put_batches(sample, session.mesh)))
    shifts = jax.jit(run)(session.variables, batch)
    layers = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(shifts):
        keys = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        layers["/".join(keys[:-1])] = np.asarray(leaf)
    return dict(sorted(layers.items(), key=lambda item: _natural(item[0])))


def activation_curves(shifts: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, dict]:
    """An activation, by its name, at quantiles of its learned shifts in all layers.

    Returns:
        Inputs ``[N]``, and per quantile's shift the outputs ``[N]``.
    """
    unit = raa2 if name.startswith("raa2") else raa
    x = np.linspace(-4, 4, 161).astype(np.float32)
    values = np.concatenate([np.ravel(of_layer) for of_layer in shifts.values()])
    levels = [float(level) for level in np.quantile(values, _QUANTILES)]
    return x, {level: np.asarray(unit(jnp.asarray(x), jnp.float32([level]))) for level in levels}


def draw_figures(runs: Mapping[str, Session], endpoint: str = "") -> dict[str, Figure]:
    """All figures of some runs, by name, of one data set; see :func:`collect_responses`.

    Returns:
        ``responses``, and where a run has adaptive activations ``shifts`` and ``activations``.
    """
    names = next(iter(runs.values())).source.class_names
    responses = {name: collect_responses(session, endpoint) for name, session in runs.items()}
    figures = {"responses": plot_response_distributions(responses, names)}
    shifts = {name: collect_shifts(session) for name, session in runs.items()}
    shifts = {name: layers for name, layers in shifts.items() if layers}
    if shifts:
        figures["shifts"] = plot_shifts(shifts)
        x: Any
        curves, x = {}, None
        for name, layers in shifts.items():
            activation = runs[name].arguments["activation"]
            x, curves[f"{name}: {activation}"] = activation_curves(layers, activation)
        figures["activations"] = plot_activation_curves(x, curves)
    return figures


def _apply(session: Session, variables: dict[str, Any], batch: dict[str, jax.Array]):
    images = session.preprocessing.normalise(batch["image"])
    keys = {"noise": jax.random.key(session.config.seed)}
    return session.model.apply(variables, images, train=False, rngs=keys, mutable=["shifts"])


def _natural(name: str) -> list:
    """Sorts block 10 behind block 9."""
    parts = name.replace("/", "_").split("_")
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

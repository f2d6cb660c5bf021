"""Students and teachers: networks at random weights, of runs, or converted."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax.sharding import Mesh
from ml_collections import ConfigDict

from jaxbio import features
from jaxbio.errors import InputError
from jaxbio.ops.images import Preprocessing
from jaxbio.ops.once import jit_once
from jaxbio.options import set_key
from jaxbio.tasks.classification.build import build_model, model_arguments, read_v2_filters
from jaxbio.tasks.classification.pretrained import network_keys, open_network

RANDOM = "random:"


@dataclass(frozen=True)
class Backbone:
    """A model, how it wants its images, and the variables to start from.

    Attributes:
        variables: of a run; None: fresh ones.
        origin: where the variables come from, in words.
    """

    arguments: dict[str, Any]
    model: nn.Module
    preprocessing: Preprocessing
    variables: dict[str, Any] | None
    origin: str


def open_student(config: ConfigDict, num_classes: int) -> Backbone:
    """The network that learns.

    Args:
        config: ``rdm.student`` names a run, or ``model`` a network at random weights. In the first
            case ``model`` and ``data`` are changed to what the run says.
        num_classes: categories of the recordings: the classifier's, if it learns too. A run keeps
            its own classifier unless ``rdm.class_weight`` is set.

    Raises:
        InputError: no such run or model.
    """
    if not config.rdm.student:
        return _fresh(config, model_arguments(config, num_classes))
    network = _of_run(config, "rdm.student")
    _adopt(config, network)
    if not config.rdm.class_weight or network.arguments["num_classes"] == num_classes:
        return network
    arguments = {**network.arguments, "num_classes": num_classes}
    return replace(network, arguments=arguments, model=build_model(arguments))


def open_teacher(config: ConfigDict) -> Backbone:
    """The network of ``rdm.teacher``: ``random:<model>``, a run, or converted weights.

    Raises:
        InputError: no such run or model.
    """
    name = config.rdm.teacher
    if not name.startswith(RANDOM):
        return _of_run(config, "rdm.teacher")
    arguments = {
        "name": name.removeprefix(RANDOM),
        "num_classes": 2,  # nobody reads its logits
        "image_size": config.data.image_size,
    }
    return _fresh(config, arguments)


def initial_variables(network: Backbone, seed: int, v2_weights: str = "") -> dict[str, Any]:
    """The variables at step 0: those of the run, and fresh ones of ``seed`` where it has none that
    fit. ``v2_weights`` is a file with V2 filters, for fresh networks.
    """
    size = network.preprocessing.image_size
    images = jnp.zeros((1, size, size, 3))
    params_key, noise_key = jax.random.split(jax.random.key(seed))
    new = jit_once(lambda p, n: network.model.init({"params": p, "noise": n}, images))
    fresh = {"constants": {}, **new(params_key, noise_key)}
    if network.variables is None:
        filters = read_v2_filters(network.arguments.get("front_end", "none"), v2_weights)
        if filters is not None:
            fresh["constants"] = {**fresh["constants"], "v2": filters}
        return fresh
    # Copies: the training step takes the memory of the state that it is given.
    kept = jax.tree.map(jnp.copy, dict(network.variables))
    kept["params"] = jax.tree.map(
        lambda ours, theirs: theirs if theirs.shape == ours.shape else ours,
        fresh["params"],
        kept["params"],
    )
    return {name: kept[name] for name in fresh}


def layer_features(
    network: Backbone, variables: dict[str, Any], images: np.ndarray, layer: str, mesh: Mesh
) -> np.ndarray:
    """``[S, units]`` float32 of a layer in evaluation mode; the last step of recurrent ones.

    Images are ``[S, size, size, 3]`` uint8; the devices of ``mesh`` share each batch.
    """
    batches = features.extract(
        network.model,
        variables,
        images,
        features.FeatureRequest(layer, times="last"),
        network.preprocessing,
        mesh=mesh,
    )
    return np.concatenate([batch[layer].reshape(len(batch[layer]), -1) for batch in batches])


def _fresh(config: ConfigDict, arguments: dict[str, Any]) -> Backbone:
    data = config.data
    return Backbone(
        arguments=arguments,
        model=build_model(arguments),
        preprocessing=Preprocessing(data.image_size, data.mean, data.std),
        variables=None,
        origin="random weights",
    )


def _of_run(config: ConfigDict, key: str) -> Backbone:
    path = config.rdm[key.removeprefix("rdm.")]
    if not (Path(path) / "config.json").is_file():
        raise InputError(
            f"{key}={path} is no run directory: give that of a trained classifier or of converted "
            "weights"
        )
    session = open_network(config, path)
    return Backbone(
        arguments=session.arguments,
        model=session.model,
        preprocessing=session.preprocessing,
        variables=session.variables,
        origin=f"{session.run.path.name}, step {session.step}",
    )


def _adopt(config: ConfigDict, network: Backbone) -> None:
    """Makes a configuration say what its student is, so that the finished run can be opened."""
    where = f"rdm.student={config.rdm.student}"
    for path, value in network_keys(network.arguments, where).items():
        if path not in ("model.num_classes", "model.dtype"):
            set_key(config, path, value)
    config.data.update(vars(network.preprocessing))

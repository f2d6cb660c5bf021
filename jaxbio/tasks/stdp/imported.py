"""Networks that the published program has saved, as runs of ours."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import jaxbio
from jaxbio.errors import InputError
from jaxbio.files import read_json, write_json
from jaxbio.runs.checkpoints import write_complete_run
from jaxbio.runs.directory import RunDirectory
from jaxbio.spiking.network import Weights
from jaxbio.tasks.config import check_config, new_config
from jaxbio.tasks.stdp.published import CLASSES, PublishedNetwork
from jaxbio.tasks.stdp.state import SpikingState

_IMAGES_PER_STEP = 40  # at most; divides the number of training images


def import_network(saved: PublishedNetwork, runs: Path) -> Path:
    """Writes a run ``runs/<name>``, or finds it there.

    It has the network's weights, thresholds and votes, stands at the step of the images that it has
    learned from, and keeps the published accuracies beside (they were not measured here).

    Returns:
        The run directory.

    Raises:
        InputError: something else is there, or a number is out of the range of its key.
    """
    run = RunDirectory(runs / saved.name)
    if run.config_file.is_file():
        there = read_json(run.config_file).get("resolved", {}).get("imported", {})
        if there.get("sha256") == saved.sha256:
            return run.path
    config = config_of(saved)
    step = saved.train_images // config.spiking.images_per_step
    resolved: dict[str, Any] = {
        "network": dataclasses.asdict(saved.shape),
        "class_names": [str(label) for label in range(CLASSES)],
        "members": [{"seed": 0, "changes": {}}],
        "start_from": None,
        "data": None,
        "imported": {"name": saved.name, "sha256": saved.sha256, "notes": saved.notes},
        "versions": {"jaxbio": jaxbio.__version__},
    }
    variables = state_of(saved).items()["variables"]
    recorded = {"config": config.to_dict(), "resolved": resolved}
    write_complete_run(run, variables, recorded, step)
    published = {name: dataclasses.asdict(score) for name, score in saved.scores.items()}
    results = {"run": str(run.path), "images": saved.train_images, "published": published}
    write_json(run.results_file, results)
    return run.path


def config_of(saved: PublishedNetwork) -> ConfigDict:
    """The configuration of the task "stdp" that describes it; MNIST, the published protocol.

    Raises:
        InputError: a number is out of the range of its key.
    """
    config = new_config("stdp")
    config.name = saved.name
    config.data.source = "mnist"
    images = max(saved.train_images, 1)
    config.spiking.update(
        {
            **dataclasses.asdict(saved.shape),
            **saved.numbers,
            "trained_competition": saved.yy is not None,
            "train_images": images,
            "images_per_step": math.gcd(images, _IMAGES_PER_STEP),
        }
    )
    try:
        check_config(config)
    except InputError as error:
        raise InputError(f"{saved.name}: {error}") from None
    return config


def state_of(saved: PublishedNetwork) -> SpikingState:
    """Its weights, thresholds and votes."""
    side = saved.shape.side
    votes = np.zeros((CLASSES, saved.shape.filters, side, side), np.float32)
    yy = None if saved.yy is None else jnp.asarray(saved.yy)
    return SpikingState(
        step=jnp.int32(0),
        weights=Weights(jnp.asarray(saved.xy), jnp.asarray(saved.theta), yy),
        votes=jnp.asarray(votes if saved.votes is None else saved.votes),
        calibrated=jnp.int32(saved.votes is not None),
    )

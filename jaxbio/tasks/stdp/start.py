"""Going on with a saved spiking network: its weights and thresholds, in a new run.

The new run counts the images that the saved network has learned from: it begins at that step, so
that images and spikes go on where they ended. With the settings of the old run and a larger
``spiking.train_images`` it equals one run of all images bit for bit.
"""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.runs.checkpoints import load_variables
from jaxbio.runs.directory import RunDirectory
from jaxbio.spiking.network import Network
from jaxbio.spiking.population import member_parameters
from jaxbio.tasks.config import restored_config
from jaxbio.tasks.stdp.reading import read_members_of, read_network
from jaxbio.tasks.stdp.state import SpikingState, abstract_state

_RUNS = Path("runs")  # where train.py keeps runs that have no --workdir
_SAME = ("kind", "filters", "kernel", "stride", "crop")  # these decide the shapes


class Start:
    """A saved network to go on with, checked without reading arrays.

    Args:
        config: of the new run.
        network: its shape.
        members: its networks.

    Attributes:
        step: of its newest checkpoint.
        images: that it has learned from by then.
        parameters: of its members, ``[M]``.
        members: of its population, or one.
        member: the one that all of the new run start from; None: each from its own.

    Raises:
        InputError: no such network, none of this shape, one without a checkpoint, or one that has
            learned from as many images as the new run asks for.
    """

    def __init__(self, config: ConfigDict, network: Network, members: int):
        name = config.spiking.start_from
        self.run = _find_run(name)
        theirs = restored_config(read_json(self.run.config_file))
        self.network, parameters = read_network(theirs)
        _check_shapes(name, self.network, network)
        self.members = read_members_of(theirs)
        self.parameters = member_parameters(parameters, self.members)
        if not (steps := self.run.steps()):
            raise InputError(f"spiking.start_from={name} has no checkpoint: train it first")
        self.step = max(steps)
        self.images = self.step * theirs.spiking.images_per_step
        _check_images(config, name, self.images)
        self.member = _choose_member(config, name, len(self.members), members)

    def record(self) -> dict[str, Any]:
        """JSON-able, for ``config.json``."""
        return {
            "path": str(self.run.path),
            "step": self.step,
            "images": self.images,
            "member": self.member,
        }


def find_start(config: ConfigDict, network: Network, members: int) -> Start | None:
    """The network that ``spiking.start_from`` names, if it does; see :class:`Start`."""
    return Start(config, network, members) if config.spiking.start_from else None


def begin_from(state: SpikingState, start: Start, mesh: Mesh, chunk: int) -> SpikingState:
    """The first state of the new run.

    Args:
        state: of a new network; what the saved one does not have (trained competition, where its
            own was fixed) stays as it is here. Votes are not taken over.
        start: of :func:`find_start`.
        mesh: of the new run.
        chunk: images per step of the new run.

    Returns:
        A state of the same shapes and shardings, at the step of the images seen so far.

    Raises:
        InputError: the checkpoint cannot be read.
    """
    like = abstract_state(start.network, start.parameters, start.members, mesh, spread=False)
    variables, _ = load_variables(start.run, like.items()["variables"], str(start.step))
    saved = like.with_items(start.step, {"variables": variables}).weights
    if len(start.members) > 1 and start.member is not None:
        saved = jax.tree.map(lambda leaf: leaf[start.member], saved)
    fresh = state.weights
    if saved.yy is None:
        saved = saved._replace(yy=fresh.yy)

    def place(ours: jax.Array, theirs: jax.Array) -> jax.Array:
        # Copies: the training step takes the memory of the state that it is given.
        return jax.device_put(jnp.array(jnp.broadcast_to(theirs, ours.shape)), ours.sharding)

    weights = jax.tree.map(place, fresh, saved)
    step = jax.device_put(jnp.int32(start.images // chunk), state.step.sharding)
    return state.replace(weights=weights, step=step)


def _find_run(name: str) -> RunDirectory:
    for path in (Path(name), _RUNS / name):
        if (path / "config.json").is_file():
            run = RunDirectory(path)
            if read_json(run.config_file).get("config", {}).get("task") != "stdp":
                raise InputError(
                    f"spiking.start_from={name}: {run.path} holds no spiking network of task stdp"
                )
            return run
    raise InputError(
        f"spiking.start_from={name}: no such run directory, and no network of that name in "
        f"{_RUNS.absolute()}; jaxbio spiking list shows all"
    )


def _check_shapes(name: str, saved: Network, network: Network) -> None:
    changed = [
        f"spiking.{key}={getattr(network, key)!r} (there {getattr(saved, key)!r})"
        for key in _SAME
        if getattr(network, key) != getattr(saved, key)
    ]
    if changed:
        raise InputError(
            f"spiking.start_from={name} has another shape: {', '.join(changed)}; use its settings"
        )
    if saved.trained_competition and not network.trained_competition:
        raise InputError(
            f"spiking.start_from={name} has trained competition: set "
            "spiking.trained_competition=True (and spiking.learn_yy=False to freeze it)"
        )


def _check_images(config: ConfigDict, name: str, images: int) -> None:
    chunk, total = config.spiking.images_per_step, config.spiking.train_images
    if images >= total:
        raise InputError(
            f"spiking.train_images={total} counts those of spiking.start_from={name}, which has "
            f"learned from {images} already: use more"
        )
    if images % chunk:
        raise InputError(
            f"spiking.images_per_step={chunk} does not divide the {images} images that "
            f"spiking.start_from={name} has learned from: use a number that does"
        )


def _choose_member(config: ConfigDict, name: str, saved: int, members: int) -> int | None:
    member = config.spiking.start_member
    if member is None:
        if saved in (1, members):
            return None
        raise InputError(
            f"spiking.start_from={name} has {saved} networks, this run {members}: choose one with "
            "spiking.start_member, from 0"
        )
    if not 0 <= member < saved:
        raise InputError(
            f"spiking.start_member={member}: spiking.start_from={name} has {saved} networks, from 0"
        )
    return member

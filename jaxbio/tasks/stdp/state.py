"""The training state of spiking networks: what a checkpoint of the task "stdp" holds."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbio.spiking import competition
from jaxbio.spiking.learning import unstack
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.population import Member, initial_members

_CLASSES = 10  # of digits and MNIST


class SpikingState(struct.PyTreeNode):
    """All arrays of a spiking network that learns, or of a population of N.

    Attributes:
        step: chunks of images learned from, int32.
        weights: of a population with a leading axis ``[N]``.
        votes: of the newest test, ``[classes, filters, rows, columns]``, or ``[N, ...]``.
        calibrated: 1 once there were votes, int32.
    """

    step: jax.Array
    weights: Weights
    votes: jax.Array
    calibrated: jax.Array

    def count_parameters(self) -> int:
        """Number of weights."""
        return sum(w.size for w in (self.weights.xy, self.weights.yy) if w is not None)

    def items(self) -> dict[str, Any]:
        """See :class:`jaxbio.runs.state.State`; the names are those of version 0.1.0."""
        xy, theta, yy = self.weights
        return {
            "variables": {
                "params": {"xy": xy} if yy is None else {"xy": xy, "yy": yy},
                "constants": {},
                "neurons": {"theta": theta},
                "readout": {"votes": self.votes, "calibrated": self.calibrated},
            }
        }

    def with_items(self, step: int, items: dict[str, Any]) -> "SpikingState":
        """See :class:`jaxbio.runs.state.State`."""
        variables = items["variables"]
        params, readout = variables["params"], variables["readout"]
        return SpikingState(
            step=jax.device_put(jnp.int32(step), self.step.sharding),
            weights=Weights(params["xy"], variables["neurons"]["theta"], params.get("yy")),
            votes=readout["votes"],
            calibrated=readout["calibrated"],
        )


def new_state(
    network: Network, parameters: Parameters, members: Sequence[Member], two_step: bool
) -> SpikingState:
    """Random weights, no votes. Pure: may be traced.

    Args:
        network: static.
        parameters: of the members, ``[N]``.
        members: one, whose arrays have no leading axis, or a population.
        two_step: competition is full between all pairs, as in the first part of such training.
    """
    keys = jnp.stack([jax.random.key(member.seed) for member in members])
    weights = initial_members(network, parameters, keys)
    if two_step:
        weights = jax.vmap(lambda p, w: competition.fill(network, p, w))(parameters, weights)
    side = network.side
    votes = jnp.zeros((len(members), _CLASSES, network.filters, side, side))
    if len(members) == 1:
        weights, votes = unstack(weights), votes[0]
    return SpikingState(jnp.int32(0), weights, votes, jnp.int32(0))


def abstract_state(
    network: Network,
    parameters: Parameters,
    members: Sequence[Member],
    mesh: Mesh,
    spread: bool = True,
) -> SpikingState:
    """Shapes, dtypes and shardings of the state that :func:`new_state` makes.

    With ``spread`` a population's members are shared among the devices of the mesh, which is that
    of :func:`jaxbio.spiking.population.population_mesh`; else every device has all.
    """
    over_members = P(*mesh.axis_names) if spread and len(members) > 1 else P()
    shapes = jax.eval_shape(partial(new_state, network, parameters, members, False))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            leaf.shape,
            leaf.dtype,
            sharding=NamedSharding(mesh, over_members if leaf.ndim else P()),
        ),
        shapes,
    )

"""The training state of spiking networks: what a checkpoint of the task "stdp" holds."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbio.runs.schedules import Plateau
from jaxbio.runs.state import TrainState
from jaxbio.spiking import competition
from jaxbio.spiking.learning import unstack
from jaxbio.spiking.network import Network, Parameters, Weights
from jaxbio.spiking.population import Member, initial_members

_CLASSES = 10  # of digits and MNIST


def new_state(
    network: Network, parameters: Parameters, members: Sequence[Member], two_step: bool
) -> TrainState:
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
    return TrainState(
        step=jnp.int32(0),
        params={"xy": weights.xy} | ({} if weights.yy is None else {"yy": weights.yy}),
        model_state={
            "neurons": {"theta": weights.theta},
            "readout": {"votes": votes, "calibrated": jnp.int32(0)},
        },
        constants={},
        opt_state=(),
        plateau=Plateau.create(),
    )


def abstract_state(
    network: Network,
    parameters: Parameters,
    members: Sequence[Member],
    mesh: Mesh,
    spread: bool = True,
) -> TrainState:
    """Shapes, dtypes and shardings of the state; the arguments are those of :func:`new_state`.

    Args:
      network: static.
      parameters: of the members, ``[N]``.
      members: one or more.
      mesh: of :func:`jaxbio.spiking.population.population_mesh`.
      spread: share a population's members among the devices of the mesh; else every device has all.
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


def weights_of(state: TrainState) -> Weights:
    """The weights in a state; of a population with a leading axis."""
    return Weights(
        state.params["xy"], state.model_state["neurons"]["theta"], state.params.get("yy")
    )


def with_weights(state: TrainState, weights: Weights) -> TrainState:
    """The state with other weights."""
    params = {"xy": weights.xy} | ({} if weights.yy is None else {"yy": weights.yy})
    return state.replace(
        params=params, model_state={**state.model_state, "neurons": {"theta": weights.theta}}
    )

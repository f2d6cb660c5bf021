"""From the configuration of the task "stdp" to its networks."""

import dataclasses
from typing import Any

from jaxbio.errors import InputError
from jaxbio.options import check_key, keys
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.population import Member, read_members
from jaxbio.spiking.settings import Numbers

# Of all networks together: in float32 and with what learning needs, more do not fit into any
# machine that this is meant for.
MAX_WEIGHTS = 2_000_000_000


def read_network(config: Any) -> tuple[Network, Parameters]:
    """The network and its numbers that ``config.spiking`` describes.

    Raises:
        InputError: sizes that do not fit each other.
    """
    shape, numbers = (
        {field.name: getattr(config.spiking, field.name) for field in dataclasses.fields(kind)}
        for kind in (Network, Parameters)
    )
    return Network(**shape), Parameters(**numbers)


def read_members_of(config: Any) -> list[Member]:
    """The networks of a run: one, or a population.

    Raises:
        InputError: an unknown parameter, one out of its range, or more weights than
            ``MAX_WEIGHTS``.
    """
    network, _ = read_network(config)
    members = read_members(config.seed, config.population.seeds, config.population.grid)
    for name, value in {pair for member in members for pair in member.changes.items()}:
        check_key(keys(Numbers)[name], value, f"population.grid: {name}")
    positions = 1 if network.shared else network.positions
    weights = positions * network.window * network.filters
    if network.trained_competition:
        weights += network.neurons**2
    if (count := weights * len(members)) > MAX_WEIGHTS:
        raise InputError(
            f"spiking.filters={network.filters}, population.seeds={config.population.seeds}: "
            f"{count:,} weights, at most {MAX_WEIGHTS:,} are possible; use fewer"
        )
    return members

"""Populations: networks of one shape that learn side by side, as one program.

Members differ in their seed (initial weights, images, spikes) and in any of their numbers. On
several devices each learns its share of them.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxbio.errors import InputError
from jaxbio.options import keys
from jaxbio.spiking.network import Network, Parameters, Weights, initial_weights
from jaxbio.spiking.settings import MAX_SEEDS, Numbers

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Member:
    """One network of a population.

    Attributes:
        seed: of everything random.
        changes: its numbers that are not the population's.
    """

    seed: int
    changes: dict[str, float]


def read_members(seed: int, seeds: int, grid: str) -> list[Member]:
    """The members that a configuration asks for: every point of the grid with every seed.

    Args:
        seed: the first seed; the others follow it.
        seeds: how many.
        grid: ``"name=value,value;name=value,..."`` with names of ``Numbers``; "" for none.

    Raises:
        InputError: an unknown name, no number, or less than one seed.

    Example:
        >>> len(read_members(0, 2, "mean_weight=0.4,0.46;c_w=-80,-100"))
        8
    """
    if not 1 <= seeds <= MAX_SEEDS:
        raise InputError(f"population.seeds={seeds}: use 1 to {MAX_SEEDS}")
    axes = [_read_axis(part) for part in grid.split(";") if part.strip()]
    names = [name for name, _ in axes]
    if len(set(names)) < len(names):
        raise InputError(f"population.grid='{grid}' names a parameter twice")
    if (count := seeds * math.prod(len(values) for _, values in axes)) > MAX_SEEDS:
        raise InputError(f"population: {count} networks, use {MAX_SEEDS} or fewer")
    points = itertools.product(*(values for _, values in axes))
    return [
        Member(seed + i, dict(zip(names, point, strict=True)))
        for point in points
        for i in range(seeds)
    ]


def _read_axis(part: str) -> tuple[str, list[float]]:
    name, _, values = (text.strip() for text in part.partition("="))
    if name not in keys(Numbers):
        raise InputError(f"population.grid: unknown '{name}', use {', '.join(keys(Numbers))}")
    try:
        return name, [float(value) for value in values.split(",")]
    except ValueError:
        raise InputError(
            f"population.grid: '{part.strip()}' must be {name}=number,number,..."
        ) from None


def member_parameters(parameters: Parameters, members: Sequence[Member]) -> Parameters:
    """Parameters with a leading axis of members."""
    each = [dataclasses.replace(parameters, **member.changes) for member in members]
    return jax.tree.map(lambda *values: jnp.asarray(values, jnp.float32), *each)


def initial_members(network: Network, parameters: Parameters, keys: Array) -> Weights:
    """Initial weights ``[N, ...]`` of parameters ``[N]`` and keys ``[N]``."""
    return jax.vmap(lambda p, key: initial_weights(network, p, key))(parameters, keys)


def population_mesh(members: int) -> Mesh:
    """A mesh of the most devices that the members divide over; the others stay idle.

    Raises:
        InputError: with several processes, if that leaves a device idle.
    """
    devices = math.gcd(members, jax.device_count())
    if jax.process_count() > 1 and devices < jax.device_count():
        raise InputError(
            f"a population of {members} does not divide over {jax.device_count()} devices of "
            "several processes: change population.seeds or population.grid"
        )
    return Mesh(np.array(jax.devices()[:devices]), ("members",))


def over_devices(function: Callable[..., Any], mesh: Mesh, axes: Sequence[int | None]) -> Any:
    """Lets every device run ``function`` on its share of the members; they never communicate.

    Args:
        function: of arrays; gives (weights ``[N, ...]``, counts ``[B, N, ...]``).
        mesh: from :func:`population_mesh`.
        axes: of each argument, where its members are; None: the argument has none.
    """
    if mesh.size == 1:
        return function

    def spec(axis: int | None) -> P:
        return P() if axis is None else P(*(None,) * axis, *mesh.axis_names)

    return jax.shard_map(
        function,
        mesh=mesh,
        in_specs=tuple(spec(axis) for axis in axes),
        out_specs=(spec(0), spec(1)),
        check_vma=False,
    )

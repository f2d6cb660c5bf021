"""Where arrays live: one mesh, batches split over it, parameters whole or split.

The mesh has two axes. ``data`` splits the batch; ``fsdp`` splits the batch and, besides, every
large parameter with its optimiser state, along one of its dimensions. jit inserts the
communication; a batch mean under jit is the global mean, BatchNorm's included.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxbio.errors import InputError

_AXES = ("data", "fsdp")
# Splitting small arrays costs more in communication than it saves in memory.
_MIN_SIZE_TO_SPLIT = 2**12


def make_mesh(data: int = -1, fsdp: int = 1) -> Mesh:
    """A mesh over all devices of all processes.

    Args:
        data: size of the data axis; -1 takes what ``fsdp`` leaves.
        fsdp: size of the axis that also splits parameters.

    Raises:
        InputError: the product is not the number of devices.
    """
    count = jax.device_count()
    wanted = data if data > 0 else max(1, count // max(1, fsdp))
    if fsdp < 1 or wanted * fsdp != count:
        raise InputError(
            f"mesh.data={data} x mesh.fsdp={fsdp} does not make {count} devices: "
            f"set mesh.data=-1 and a mesh.fsdp that divides {count}"
        )
    return jax.make_mesh((wanted, fsdp), _AXES, axis_types=(jax.sharding.AxisType.Auto,) * 2)


def lone_mesh() -> Mesh:
    """A mesh of this process's first device alone, for what cannot be shared among several."""
    kinds = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((1, 1), _AXES, axis_types=kinds, devices=jax.local_devices()[:1])


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the leading axis over all devices."""
    return NamedSharding(mesh, P(_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """A whole copy on every device."""
    return NamedSharding(mesh, P())


def state_shardings(abstract_state: Any, mesh: Mesh) -> Any:
    """A sharding for every array of a state: the largest dimension that ``fsdp`` divides is split.

    Args:
        abstract_state: a tree of arrays or ``jax.ShapeDtypeStruct``.
        mesh: from :func:`make_mesh`.
    """
    size = mesh.shape["fsdp"]

    def sharding(leaf: Any) -> NamedSharding:
        divisible = [axis for axis, n in enumerate(leaf.shape) if n % size == 0]
        if size == 1 or not divisible or np.prod(leaf.shape) < _MIN_SIZE_TO_SPLIT:
            return replicated(mesh)
        axis = max(divisible, key=lambda a: leaf.shape[a])
        return NamedSharding(mesh, P(*(None,) * axis, "fsdp"))

    return jax.tree.map(sharding, abstract_state)


def abstract_state(new_state: Callable[..., Any], mesh: Mesh, *arguments: Any) -> Any:
    """Shapes, dtypes and shardings of what ``new_state(*arguments)`` would make."""
    shapes = jax.eval_shape(new_state, *arguments)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        state_shardings(shapes, mesh),
    )


def put_batches(
    batches: Iterable[dict[str, np.ndarray]], mesh: Mesh
) -> Iterator[dict[str, jax.Array]]:
    """Turns every process's part of a batch into global arrays, one batch in advance.

    Transfers are asynchronous, so that the next batch travels while the device computes.

    Args:
        batches: dicts of arrays with the process's share of the leading axis.
        mesh: from :func:`make_mesh`.

    Yields:
        The same dicts with global, sharded arrays.
    """
    sharding = batch_sharding(mesh)
    waiting: list[dict[str, jax.Array]] = []
    for batch in batches:
        waiting.append(jax.make_array_from_process_local_data(sharding, batch))
        if len(waiting) > 1:
            yield waiting.pop(0)
    yield from waiting

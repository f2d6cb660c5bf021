"""Corruption of batches that are spread over devices."""

import functools
from collections.abc import Callable

import jax
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from jaxbio.corruptions.compiled import corrupt


@functools.cache
def sharded_corrupt(
    mesh: Mesh, split: PartitionSpec, name: str, severity: int, protocol: str = "imagecorruptions"
) -> Callable[[Array, Array, Array], Array]:
    """The compiled ``(images, indices, key) -> images``; every device corrupts its own images.

    Images are uint8 ``[B, H, W, 3]``, indices the examples' numbers ``[B]``, ``split`` over the
    devices, and there is one key. The result is that of :func:`jaxbio.corruptions.corrupt`.
    """

    def local(images: Array, indices: Array, key: Array) -> Array:
        return corrupt(images, name, severity, key, indices=indices, protocol=protocol)

    specs = (split, split, PartitionSpec())
    return jax.jit(
        jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    )

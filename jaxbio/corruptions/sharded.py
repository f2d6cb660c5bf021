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

    Args:
        mesh: the devices.
        split: how the leading axis of images and indices is split over them.
        name: one of ``corruption_names("all")``.
        severity: 1 to 5.
        protocol: as in :func:`jaxbio.corruptions.corrupt`.

    Returns:
        A function of uint8 ``[B, H, W, 3]``, the examples' numbers ``[B]`` and one key; the result
        equals ``corrupt(images, name, severity, key, indices=indices, protocol=protocol)``.
    """

    def local(images: Array, indices: Array, key: Array) -> Array:
        return corrupt(images, name, severity, key, indices=indices, protocol=protocol)

    specs = (split, split, PartitionSpec())
    return jax.jit(
        jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)
    )

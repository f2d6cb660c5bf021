"""The checksum of a checkpoint's items."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbio.runs.verified import _sums_on_devices, digest

TREE = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4) - 5,
    "b": [np.array([True, False]), np.array(3, np.int32), np.array([200, 7], np.uint8)],
    "c": jnp.asarray([1.5, -2.0, 3.25], jnp.bfloat16),
    "d": np.zeros((0, 3), np.float32),
}


def test_it_is_the_published_sum():
    """Sum over arrays, base 31, of each number's bits times 2 place + 1: recorded runs hold it."""
    bits = np.array([1.0, -2.0], np.float32).view(np.uint32).astype(object)
    first = (bits[0] + 3 * bits[1]) % 2**32
    assert digest([np.array([1.0, -2.0], np.float32), np.array(7, np.int32)]) == (
        (31 * first + 1 + 7) % 2**32
    )


@pytest.mark.parametrize("at_once", [5, 2**20])
def test_host_and_devices_agree(monkeypatch, at_once):
    monkeypatch.setattr("jaxbio.runs.verified._AT_ONCE", at_once)
    total = 0
    for number, part in enumerate(_sums_on_devices(jax.tree.leaves(TREE))):
        total = (31 * total + number + int(part)) % 2**32
    assert digest(TREE) == total


def test_it_is_the_same_however_arrays_are_split():
    mesh = jax.make_mesh((jax.device_count(),), ("x",))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    whole = np.arange(8 * jax.device_count(), dtype=np.float32)
    assert digest({"a": jax.device_put(whole, split)}) == digest({"a": whole})


def test_every_bit_and_place_counts():
    tree = {"a": np.array([1.0, 2.0, 3.0], np.float32)}
    flipped = {"a": np.array([1.0, np.nextafter(np.float32(2), np.float32(3)), 3.0], np.float32)}
    swapped = {"a": np.array([2.0, 1.0, 3.0], np.float32)}
    assert len({digest(tree), digest(flipped), digest(swapped)}) == 3

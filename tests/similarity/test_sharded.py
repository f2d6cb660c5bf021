"""Features whose units or images lie on several devices give what they give on one."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbio.similarity import cka, gram, rdm
from jaxbio.similarity.gram import _gram


@pytest.fixture(scope="module")
def mesh():
    return Mesh(np.array(jax.devices()[:8]).reshape(2, 4), ("images", "units"))


@pytest.fixture(scope="module")
def features():
    return np.random.default_rng(0).standard_normal((24, 64), np.float32) + 1


@pytest.mark.slow
@pytest.mark.parametrize("axes", [(None, "units"), ("images", "units"), ("images", None)])
@pytest.mark.parametrize("measure", [gram, rdm, lambda x: cka(x, x[:, ::-1])])
def test_eight_devices_equal_one(mesh, features, axes, measure):
    spread = jax.device_put(features, NamedSharding(mesh, PartitionSpec(*axes)))
    assert len(spread.sharding.device_set) == 8
    np.testing.assert_allclose(measure(spread), measure(features), rtol=1e-4, atol=1e-4)


def test_units_stay_where_they_are(mesh):
    """The Gram matrix is a sum over devices: only products travel, no features."""
    shape = jax.ShapeDtypeStruct(
        (24, 4096), np.float32, sharding=NamedSharding(mesh, PartitionSpec(None, "units"))
    )
    text = jax.jit(_gram).lower(shape).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text

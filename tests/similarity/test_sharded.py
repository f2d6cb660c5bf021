"""Features whose units or images lie on several devices give what they give on one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbio.similarity import cka, gram, predictivity, rdm, stratified_splits
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


_N, _UNITS = 24, 64
_METHODS = ("pls", "ridge", "ridge-cv", "one-to-one")
_PROCESS = """
import sys
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
jax.config.update("jax_platforms", "cpu")
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
from tests.similarity.test_sharded import of_two_processes, scores
assert jax.process_count() == 2 and jax.device_count() == 8
mesh = Mesh(np.array(jax.devices()).reshape(2, 4), ("images", "units"))
features, responses = of_two_processes()
found = {}
for axes in ((None, ("images", "units")), ("images", "units")):
    spread = jax.make_array_from_callback(
        features.shape, NamedSharding(mesh, PartitionSpec(*axes)), lambda part: features[part]
    )
    assert not spread.is_fully_addressable
    found |= {f"{axes[0]} {name}": value for name, value in scores(spread, responses).items()}
np.savez(sys.argv[3], **found)
"""


def of_two_processes():
    """Features and responses."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((_N, _UNITS), np.float32) + 1
    return features, (features[:, :5] + rng.standard_normal((_N, 5))).astype(np.float32)


def scores(features, responses):
    """Every measure that takes spread features, as arrays of this process."""
    splits = stratified_splits(np.repeat(np.arange(6), 4), 3, train_size=0.75)
    return {
        "gram": np.asarray(gram(features)),
        "rdm": np.asarray(rdm(features)),
        "euclidean": np.asarray(rdm(features, "euclidean")),
        "cka": np.asarray(cka(features, responses)),
        **{
            method: np.asarray(
                predictivity(
                    features, responses, method=method, splits=splits, n_components=4
                ).per_neuroid
            )
            for method in _METHODS
        },
    }


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    root = str(Path(__file__).parents[2])
    flags = "--xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": root}
    files = [tmp_path / f"{i}.npz" for i in range(2)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, address, str(i), str(file)],
            env=environment, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for i, file in enumerate(files)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=200)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(outputs)
    expected = scores(*of_two_processes())
    for file in files:  # every process has the result
        found = np.load(file)
        assert len(found.files) == 2 * len(expected)
        for name in found.files:
            one = expected[name.partition(" ")[2]]
            np.testing.assert_allclose(found[name], one, rtol=1e-4, atol=1e-4, err_msg=name)

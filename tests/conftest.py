"""Strictness that every test shares, eight devices on one CPU, programs compiled once and fast."""

import os

# Before JAX is imported: it reads this once. Costs nothing where a test uses one device.
_EIGHT = "--xla_force_host_platform_device_count=8"
if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EIGHT}".strip()

import tempfile  # noqa: E402

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402


def pytest_configure(config: pytest.Config) -> None:
    """Sets what the workers and the commands that tests start inherit.

    The quick and the slow suite spend much of their time in compilation. There LLVM's expensive
    passes are left out, and fusions go through XLA's older emitter, which gives LLVM a third less
    to do; neither changes a program's meaning. The slow golden tests run what users run. At
    level 0 programs take twice to three times as long as at level 1.
    """
    if config.option.markexpr in ("not slow", "slow and not golden"):
        os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=1"
        os.environ["XLA_FLAGS"] += " --xla_llvm_disable_expensive_passes=true"
        os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        cache = tempfile.TemporaryDirectory(prefix="jaxbio-xla-")
        config.add_cleanup(cache.cleanup)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = cache.name
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"


@pytest.fixture(autouse=True, scope="session")
def _strict_rank_promotion():
    """Silent broadcasting between ranks hides axis mistakes; every test runs without it."""
    jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def one_device(monkeypatch: pytest.MonkeyPatch):
    """What a laptop has: eight devices on two cores are slow, and do not divide every batch."""
    monkeypatch.setattr(jax, "device_count", lambda *_: 1)

    def make_mesh(shape: tuple[int, ...], names: tuple[str, ...], **_):
        return jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape(shape), names)

    monkeypatch.setattr(jax, "make_mesh", make_mesh)

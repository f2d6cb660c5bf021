"""Strictness that every test shares, and eight devices on one CPU for the sharding tests."""

import os

# Before JAX is imported: it reads this once. Costs nothing where a test uses one device.
_EIGHT = "--xla_force_host_platform_device_count=8"
if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_EIGHT}".strip()

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _strict_rank_promotion():
    """Silent broadcasting between ranks hides axis mistakes; every test runs without it."""
    jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="session")
def _compilation_cache(tmp_path_factory):
    """Programs that several tests compile, in this process or in others, are compiled once."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        directory = str(tmp_path_factory.mktemp("xla"))
        os.environ["JAX_COMPILATION_CACHE_DIR"] = directory
        jax.config.update("jax_compilation_cache_dir", directory)

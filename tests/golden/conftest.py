import jax
import pytest


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def full_precision():
    """Layers' products as on CPUs: accelerators round them by default (TF32, bfloat16)."""
    with jax.default_matmul_precision("highest"):
        yield

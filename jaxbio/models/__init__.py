"""Networks by name: ``create_model`` and ``list_models``."""

import importlib
from typing import Any

from jaxbio.models.bodies import list_models

__all__ = ["FRONT_ENDS", "create_model", "list_models"]


def __getattr__(name: str) -> Any:
    # On first use: names are known without importing JAX and Flax.
    if name not in ("FRONT_ENDS", "create_model"):
        raise AttributeError(f"module 'jaxbio.models' has no attribute {name!r}")
    return getattr(importlib.import_module("jaxbio.models.create"), name)

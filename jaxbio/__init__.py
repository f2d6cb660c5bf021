"""jaxbio: brain-inspired vision in JAX and Flax.

``train``, ``open_run``, ``load_model``, ``wrap``, ``rsa`` and ``score`` are where programs and
notebooks begin; the parts (``models``, ``features``, ``similarity``, ...) are modules of their own.
Nothing is imported before it is used.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Resolved on first use, so that `train.py --help` does not pay for importing JAX and Flax.
_LAZY = {
    "InputError": "jaxbio.errors",
    "create_model": "jaxbio.models",
    "list_models": "jaxbio.models",
    "load_model": "jaxbio.api.model",
    "open_run": "jaxbio.api.run",
    "rsa": "jaxbio.api.rsa",
    "score": "jaxbio.api.score",
    "train": "jaxbio.api.run",
    "wrap": "jaxbio.api.wrap",
}
_PARTS = (
    *("attacks", "behaviour", "brainscore", "corruptions", "data", "features", "models", "neural"),
    *("physiology", "plotting", "similarity", "spiking", "weights"),
)
__all__ = sorted(("__version__", *_LAZY, *_PARTS))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _PARTS:
        return importlib.import_module(f"jaxbio.{name}")
    raise AttributeError(f"module 'jaxbio' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

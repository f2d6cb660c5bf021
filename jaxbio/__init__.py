"""jaxbio: brain-inspired vision in JAX and Flax."""

import importlib

__version__ = "0.1.0"
__all__ = ["__version__", "create_model", "features", "list_models", "weights"]

# Resolved on first use, so that `train.py --help` does not pay for importing JAX and Flax.
_LAZY = {
    "create_model": ("jaxbio.models", "create_model"),
    "list_models": ("jaxbio.models", "list_models"),
    "features": ("jaxbio.features", None),
    "weights": ("jaxbio.weights", None),
}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxbio' has no attribute {name!r}")
    module_name, attribute = _LAZY[name]
    module = importlib.import_module(module_name)
    return module if attribute is None else getattr(module, attribute)

"""The 19 image corruptions of ImageNet-C, batched and keyed.

Programs are imported when they are first used: names alone need no JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxbio.corruptions.names import corruption_names

if TYPE_CHECKING:
    from jaxbio.corruptions.compiled import corrupt
    from jaxbio.corruptions.reference import ReferenceCorruptor, corrupt_reference

__all__ = ["ReferenceCorruptor", "corrupt", "corrupt_reference", "corruption_names"]

_LAZY = {
    "ReferenceCorruptor": "reference",
    "corrupt": "compiled",
    "corrupt_reference": "reference",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxbio.corruptions' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxbio.corruptions.{_LAZY[name]}"), name)

"""PyTorch checkpoints to flax variables; no torch needed, no code of a file is run.

``from_torch`` converts a state dict, ``load_torch`` reads and converts a file, ``load_v2`` reads
the V2 front-end's filters.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxbio.weights.convert import (
        WeightMismatchError,
        WeightReport,
        from_torch,
        load_torch,
        load_v2,
    )

__all__ = ["WeightMismatchError", "WeightReport", "from_torch", "load_torch", "load_v2"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from jaxbio.weights import convert

        return getattr(convert, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

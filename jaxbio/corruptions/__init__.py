"""The 19 image corruptions of ImageNet-C, batched and keyed."""

from jaxbio.corruptions.corrupt import corrupt
from jaxbio.corruptions.names import corruption_names
from jaxbio.corruptions.reference import ReferenceCorruptor, corrupt_reference

__all__ = ["ReferenceCorruptor", "corrupt", "corrupt_reference", "corruption_names"]

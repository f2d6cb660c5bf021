"""The 19 image corruptions of ImageNet-C."""

from jaxbio.corruptions.names import corruption_names
from jaxbio.corruptions.reference import ReferenceCorruptor, corrupt_reference

__all__ = ["ReferenceCorruptor", "corrupt_reference", "corruption_names"]

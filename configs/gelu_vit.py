"""Vision transformer with GELU: a baseline of DNRT, with the same recipe.

Digits, offline: python train.py --config=configs/gelu_vit.py
CIFAR-100, as published: python train.py --config=configs/gelu_vit.py:cifar100
"""

from jaxbio.configs import dnrt


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    return dnrt.vit_config("gelu_vit", variant, "gelu")

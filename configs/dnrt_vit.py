"""DNRT: a vision transformer with response-adaptive activations and response regularisation.

Digits, offline: python train.py --config=configs/dnrt_vit.py
CIFAR-100, as published: python train.py --config=configs/dnrt_vit.py:cifar100
"""

from jaxbio.configs import dnrt


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    config = dnrt.vit_config("dnrt_vit", variant, "raa")
    config.arr.coefficient = dnrt.ARR_COEFFICIENTS[variant]
    return config

"""DNRT in a ResNet: the shift of an activation is computed per pixel, over the channels.

Digits, offline: python train.py --config=configs/dnrt_resnet.py
CIFAR-100: python train.py --config=configs/dnrt_resnet.py:cifar100
"""

from jaxbio.configs import dnrt


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    config = dnrt.resnet_config("dnrt_resnet", variant, "raa")
    config.arr.coefficient = dnrt.ARR_COEFFICIENTS[variant]
    return config

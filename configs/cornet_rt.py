"""CORnet-RT: biological unrolling, 5 steps (Kubilius et al. 2018).

Digits, offline: python train.py --config=configs/cornet_rt.py
ImageNet: python train.py --config=configs/cornet_rt.py:imagenet --config.data.data_dir=DIR

The ImageNet recipe is CORnet-R's.
"""

from jaxbio.configs.cornet import recipe


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is CORnet-R's published recipe."""
    return recipe("cornet_rt", variant, epochs=25.0, drop_every=10.0)

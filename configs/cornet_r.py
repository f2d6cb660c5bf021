"""CORnet-R: sequential unrolling, 5 steps (Kubilius et al. 2018).

Digits, offline: python train.py --config=configs/cornet_r.py
ImageNet: python train.py --config=configs/cornet_r.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs.cornet import recipe


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is the published recipe."""
    return recipe("cornet_r", variant, epochs=25.0, drop_every=10.0)

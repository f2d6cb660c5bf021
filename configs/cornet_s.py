"""CORnet-S: bottleneck blocks that run 2, 4 and 2 times (Kubilius et al. 2019).

Digits, offline: python train.py --config=configs/cornet_s.py
ImageNet: python train.py --config=configs/cornet_s.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs.cornet import recipe


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is the published recipe."""
    return recipe("cornet_s", variant, epochs=43.0, drop_every=20.0, batch_norm=True)

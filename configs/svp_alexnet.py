"""SVP: fixed Gabor V1 and fixed V2 in front of AlexNet.

Digits, offline: python train.py --config=configs/svp_alexnet.py
ImageNet: python train.py --config=configs/svp_alexnet.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    config = base.get_config()
    config.name = "svp_alexnet"
    config.model.name = "alexnet"
    return datasets.apply_dataset(config, variant)

"""SVP: fixed Gabor V1 and fixed V2 in front of DenseNet-121.

Digits, offline: python train.py --config=configs/svp_densenet121.py
ImageNet: python train.py --config=configs/svp_densenet121.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    config = base.get_config()
    config.name = "svp_densenet121"
    config.model.name = "densenet121"
    return datasets.apply_dataset(config, variant)

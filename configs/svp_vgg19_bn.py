"""SVP: fixed Gabor V1 and fixed V2 in front of VGG-19-BN.

Digits, offline: python train.py --config=configs/svp_vgg19_bn.py
ImageNet: python train.py --config=configs/svp_vgg19_bn.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants."""
    config = base.get_config()
    config.name = "svp_vgg19_bn"
    config.model.name = "vgg19_bn"
    return datasets.apply_dataset(config, variant)

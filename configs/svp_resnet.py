"""SVP: fixed Gabor V1 and fixed V2 in front of a ResNet.

Digits, offline: python train.py --config=configs/svp_resnet.py
ImageNet: python train.py --config=configs/svp_resnet.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; ResNet-18 on small images, ResNet-50 on ImageNet."""
    config = base.get_config()
    config.name = "svp_resnet"
    config.model.name = "resnet50" if variant.startswith("imagenet") else "resnet18"
    return datasets.apply_dataset(config, variant)

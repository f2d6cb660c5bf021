"""CORnet-S: bottleneck blocks that run 2, 4 and 2 times (Kubilius et al. 2019).

Digits, offline: python train.py --config=configs/cornet_s.py
ImageNet: python train.py --config=configs/cornet_s.py:imagenet --config.data.data_dir=DIR
"""

from configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is the published recipe."""
    config = base.get_config()
    config.name = "cornet_s"
    config.model.name = "cornet_s"
    config.model.front_end = "none"
    datasets.apply_dataset(config, variant)
    if variant == "imagenet":
        config.data.mean = (0.485, 0.456, 0.406)
        config.data.std = (0.229, 0.224, 0.225)
        config.schedule.drop_every_epochs = 20.0
        config.train.total_epochs = 43.0
    return config

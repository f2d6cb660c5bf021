"""CORnet-Z: no recurrence, one step (Kubilius et al. 2018).

Digits, offline: python train.py --config=configs/cornet_z.py
ImageNet: python train.py --config=configs/cornet_z.py:imagenet --config.data.data_dir=DIR
"""

from configs import base, datasets


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is the published recipe."""
    config = base.get_config()
    config.name = "cornet_z"
    config.model.name = "cornet_z"
    config.model.front_end = "none"
    datasets.apply_dataset(config, variant)
    if variant == "imagenet":
        config.data.mean = (0.485, 0.456, 0.406)
        config.data.std = (0.229, 0.224, 0.225)
        config.optimizer.learning_rate = 0.01
        config.schedule.drop_every_epochs = 10.0
        config.train.total_epochs = 25.0
    else:  # without BatchNorm, the SGD of these variants learns little in so few epochs
        config.optimizer.name = "adamw"
        config.optimizer.learning_rate = 1e-3
    return config

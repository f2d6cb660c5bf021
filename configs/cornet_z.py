"""CORnet-Z: no recurrence, one step (Kubilius et al. 2018).

Digits, offline: python train.py --config=configs/cornet_z.py
ImageNet: python train.py --config=configs/cornet_z.py:imagenet --config.data.data_dir=DIR
"""

from jaxbio.configs.cornet import recipe


def get_config(variant: str = "digits"):
    """One of configs/datasets.py's variants; imagenet is the published recipe."""
    config = recipe("cornet_z", variant, epochs=25.0, drop_every=10.0)
    if variant.startswith("imagenet"):
        config.optimizer.learning_rate = 0.01
    return config

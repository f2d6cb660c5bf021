"""What the CORnets' experiments share."""

from ml_collections import ConfigDict

from jaxbio.configs import base, datasets


def recipe(
    name: str, variant: str, *, epochs: float, drop_every: float, batch_norm: bool = False
) -> ConfigDict:
    """The published ImageNet recipe, or a variant of configs/datasets.py.

    Args:
        name: of the network and of the experiment.
        variant: of configs/datasets.py.
        epochs: imagenet: length of the training.
        drop_every: imagenet: epochs between drops of the learning rate.
        batch_norm: whether the network has BatchNorm.
    """
    config = base.get_config()
    config.name = name
    config.model.name = name
    config.model.front_end = "none"
    datasets.apply_dataset(config, variant)
    if variant.startswith("imagenet"):
        config.data.mean = (0.485, 0.456, 0.406)
        config.data.std = (0.229, 0.224, 0.225)
        config.schedule.drop_every_epochs = drop_every
        config.train.total_epochs = epochs
    elif not batch_norm:  # the SGD of these variants would learn little in so few epochs
        config.optimizer.name = "adamw"
        config.optimizer.learning_rate = 1e-3
    return config

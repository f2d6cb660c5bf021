"""What each data set asks of an experiment: the variants that the classifiers share."""

from ml_collections import ConfigDict

VARIANTS = ("digits", "mnist", "svhn", "cifar10", "cifar100", "imagenet100", "imagenet")


def apply_dataset(config: ConfigDict, variant: str) -> ConfigDict:
    """Sets the data keys of a variant, and appends it to the experiment's name.

    Args:
        config: the experiment, changed in place.
        variant: one of ``VARIANTS``.

    Returns:
        ``config``.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant '{variant}' of {config.name}: use {', '.join(VARIANTS)}")
    config.name = f"{config.name}_{variant}"
    data, train = config.data, config.train
    if variant in ("digits", "mnist"):
        data.source = variant
        data.image_size = 32
        data.augmentation = "shift"
        train.batch_size = 64
        train.total_epochs = 8.0 if variant == "digits" else 2.0
        _short_training(config)
    elif variant in ("svhn", "cifar10", "cifar100"):
        data.source = variant
        data.image_size = 32
        data.augmentation = "crop_flip"
        data.crop_scale = (0.25, 1.0)
        data.flip = variant != "svhn"  # digits
        train.batch_size = 128
        train.total_epochs = 70.0
        _short_training(config)
    else:  # the published protocol is base.py's optimiser and schedule
        data.source = "folder"
        data.classes = variant if variant == "imagenet100" else ""
        data.image_size = 224
        data.resize_size = 256
        data.augmentation = "crop_flip"
        train.total_epochs = 70.0
        config.eval.every_epochs = 0.5
    return config


def _short_training(config: ConfigDict) -> None:
    """One cosine from a warmed-up peak: reaches its end in few epochs, whatever their number."""
    config.optimizer.learning_rate = 0.05
    config.optimizer.weight_decay = 5e-4
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = min(1.0, config.train.total_epochs / 8)

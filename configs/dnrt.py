"""The training recipe of DNRT, which its baselines share; the experiments are dnrt_*, *_vit.

Reference: Qiu et al. 2024, "Dynamic Neural Response Tuning", ICLR 2024.
"""

from ml_collections import ConfigDict

from jaxbio.configs import base, datasets

# Published weights of the regulariser are those of CIFAR; the others are jaxbio's choice.
ARR_COEFFICIENTS = {
    "digits": 10.0,
    "mnist": 10.0,
    "cifar10": 10.0,
    "svhn": 10.0,
    "cifar100": 20.0,
    "imagenet100": 20.0,
    "imagenet": 20.0,
}

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_NORMALISATION = {
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "imagenet100": _IMAGENET,
    "imagenet": _IMAGENET,
}


def vit_config(name: str, variant: str, activation: str) -> ConfigDict:
    """A vision transformer: Tiny as published, or jaxbio's small one on digits and MNIST."""
    config = _config(name, variant, activation)
    small = variant in ("digits", "mnist")
    tiny = "vit_tiny_patch4_32" if config.data.image_size == 32 else "vit_tiny_patch16_224"
    config.model.name = "vit_mini_patch8_32" if small else tiny
    config.model.drop_path = 0.0 if small else 0.1
    return config


def resnet_config(name: str, variant: str, activation: str) -> ConfigDict:
    """ResNet-18, or ResNet-50 on ImageNet; without a front-end."""
    config = _config(name, variant, activation)
    config.model.name = "resnet50" if config.data.image_size == 224 else "resnet18"
    return config


def _config(name: str, variant: str, activation: str) -> ConfigDict:
    config = base.get_config()
    config.name = name
    datasets.apply_dataset(config, variant)
    config.model.front_end = "none"
    config.model.activation = activation
    optimizer, schedule, train = config.optimizer, config.schedule, config.train
    optimizer.name = "adamw"
    optimizer.weight_decay = 0.05
    optimizer.clip_norm = 1.0
    schedule.name = "timm_cosine"
    if variant in ("digits", "mnist"):
        _small_data(config, variant)
        return config
    train.batch_size = 256
    train.total_epochs = 300.0
    config.model.dtype = "bfloat16"  # mixed precision
    optimizer.learning_rate = 5e-4 * train.batch_size / 512
    schedule.warmup_epochs = 20.0
    schedule.warmup_from = 1e-6 / optimizer.learning_rate
    schedule.final = 1e-5 / optimizer.learning_rate
    data = config.data
    data.crop_scale = (0.08, 1.0)
    data.rand_augment = 2
    data.random_erasing = 0.25
    data.mean, data.std = _NORMALISATION[variant]
    return config


def _small_data(config: ConfigDict, variant: str) -> None:
    """Many small steps, and the pictures' own augmentation (small shifts)."""
    config.train.batch_size = 32
    config.train.total_epochs = 25.0 if variant == "digits" else 2.0
    config.optimizer.learning_rate = 1e-3
    config.eval.every_epochs = config.checkpoint.every_epochs = config.train.total_epochs / 5
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = config.train.total_epochs / 15

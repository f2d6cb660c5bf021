"""A trained classifier learns one's own classes.

Own pictures, a folder of train/CLASS/*.jpg and val/CLASS/*.jpg:
  jaxbio train fine_tune model.init_from=runs/NAME data.data_dir=DIR
PyTorch weights: add model.name=resnet18 model.front_end=none data.image_size=224 and mean and std
The classifier alone, the rest as it is: model.freeze=backbone; some parts: front_end,layer1,layer2
Digits, offline, after jaxbio train svp_resnet:
  jaxbio train fine_tune:digits model.init_from=runs/svp_resnet_digits
"""

from jaxbio.configs import base

# What the pictures bear: shifts of digits, crops and mirror images of photographs.
_AUGMENTATIONS = {"digits": "shift", "mnist": "shift", "svhn": "shift"}


def get_config(variant: str = "folder"):
    """``folder``, ``digits``, ``mnist``, ``svhn``, ``cifar10`` or ``cifar100``.

    Network and images are those of ``model.init_from``, as far as nothing else is set.
    """
    variants = ("folder", "digits", "mnist", "svhn", "cifar10", "cifar100")
    if variant not in variants:
        raise ValueError(f"unknown variant '{variant}' of fine_tune: use {', '.join(variants)}")
    config = base.get_config()
    config.name = f"fine_tune_{variant}"
    config.model.name = "pretrained"
    data, train = config.data, config.train
    data.source = variant
    data.augmentation = _AUGMENTATIONS.get(variant, "crop_flip")
    data.crop_scale = (0.25, 1.0)
    train.batch_size = 32
    train.total_epochs = 10.0
    config.eval.batch_size = 32
    # Small steps: SGD of usual rates leaves SqueezeNet's logits, which a ReLU gives, at zero.
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 2e-4
    config.optimizer.weight_decay = 0.01
    config.schedule.name = "cosine"
    config.schedule.warmup_epochs = 0.5
    return config

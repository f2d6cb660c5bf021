"""A convolutional network of spiking neurons, trained by backpropagation through time.

Three convolutions of LIF neurons, eight time steps, surrogate gradients.

Digits, offline: python train.py --config=configs/spiking_cnn.py
MNIST: python train.py --config=configs/spiking_cnn.py:mnist --config.data.data_dir=DIR
"""

from jaxbio.configs import base, datasets


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``."""
    config = base.get_config()
    config.name = "spiking_cnn"
    config.model.name = "spiking_cnn"
    config.model.front_end = "none"
    if variant not in ("digits", "mnist"):
        raise ValueError(f"unknown variant '{variant}' of {config.name}: use digits, mnist")
    datasets.apply_dataset(config, variant)
    config.train.total_epochs = 20.0 if variant == "digits" else 3.0
    config.schedule.warmup_epochs = 1.0
    config.optimizer.name = "adamw"
    config.optimizer.learning_rate = 1e-2
    config.optimizer.weight_decay = 1e-2
    return config

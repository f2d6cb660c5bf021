"""The data variants that the spiking networks share."""

from ml_collections import ConfigDict

VARIANTS = ("digits", "mnist")


def apply_data(config: ConfigDict, variant: str) -> ConfigDict:
    """Sets what a data set asks of a network that learns by STDP; appends its name.

    ``mnist`` is the published protocol: 5,000 presentations of the first 50,000 training images,
    10,000 of the last 10,000 to calibrate, 10,000 of the test set. ``digits`` are scikit-learn's
    8 x 8 digits, enlarged to the crop of 20 x 20 pixels; fewer presentations of fewer images.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant '{variant}' of {config.name}: use {', '.join(VARIANTS)}")
    config.name = f"{config.name}_{variant}"
    config.data.source = variant
    config.checkpoint.every_steps = 20
    config.log.every_steps = 2
    if variant == "digits":
        config.spiking.train_images = 2000
        config.spiking.calibration_images = 1000
        config.spiking.test_images = 1000
    return config

"""Trained competition in two steps: first the weights from X to Y, then competition from zero.

Digits, offline: python train.py --config=configs/lc_snn_two_step.py
MNIST: python train.py --config=configs/lc_snn_two_step.py:mnist
Published: 76.2 +- 0.7 % by voting (the five best of 63 networks).
"""

from jaxbio.configs import lc_snn_competition


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``; half of the images for each step."""
    config = lc_snn_competition.get_config(variant)
    config.name = config.name.replace("lc_snn_competition", "lc_snn_two_step")
    spiking = config.spiking
    spiking.two_step = True
    spiking.train_images *= 2
    # The best of the published scan.
    spiking.c_w = -100.0
    spiking.a_pos = -0.1
    spiking.a_neg = -1.55
    spiking.tau_pos = 12.0
    spiking.tau_neg = 15.0
    return config

"""Convolutional spiking network: all positions share their weights.

Digits, offline: python train.py --config=configs/c_snn.py
MNIST, the published protocol: python train.py --config=configs/c_snn.py:mnist
(with --config.data.data_dir=DIR or JAXBIO_DATA_DIR). Published on MNIST:
C 25/12: 65.8 +- 0.7 % by voting, 77.1 +- 0.6 % by a linear readout (mean of 5 seeds).
Fewer presentations give better readouts (docs/results.md): --config.spiking.train_images=1000.
Several seeds at once: --config.population.seeds=5.
"""

from jaxbio.configs import base, spiking_data


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``."""
    config = base.get_config("stdp")
    config.name = "c_snn"
    spiking = config.spiking
    spiking.kind = "c"
    spiking.refractory = 5
    spiking.mean_weight = 0.4  # this and c_w: chosen on validation images, see docs/results.md
    spiking.c_w = -80.0
    return spiking_data.apply_data(config, variant)

"""Fully connected spiking network.

Digits, offline: python train.py --config=configs/fc_snn.py
MNIST, the published protocol: python train.py --config=configs/fc_snn.py:mnist
(with --config.data.data_dir=DIR or JAXBIO_DATA_DIR). Published on MNIST:
FC 100: 81.4 +- 0.9 % by voting, 82.1 +- 0.8 % by a linear readout (mean of 5 seeds).
Several seeds at once: --config.population.seeds=5.
"""

from jaxbio.configs import base, spiking_data


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``."""
    config = base.get_config("stdp")
    config.name = "fc_snn"
    spiking = config.spiking
    spiking.kind = "fc"
    spiking.filters = 100
    spiking.kernel = spiking.crop
    spiking.refractory = 5
    spiking.mean_weight = 0.14  # this and c_w: chosen on validation images, see docs/results.md
    spiking.c_w = -60.0
    return spiking_data.apply_data(config, variant)

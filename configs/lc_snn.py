"""Locally connected spiking network that learns by STDP.

Digits, offline: python train.py --config=configs/lc_snn.py
MNIST, the published protocol: python train.py --config=configs/lc_snn.py:mnist
(with --config.data.data_dir=DIR or JAXBIO_DATA_DIR). Published on MNIST:
LC 25/12: 80.1 +- 1.0 % by voting, 85.5 +- 0.8 % by a linear readout (mean of 5 seeds);
LC 100/12 (--config.spiking.filters=100): 87.5 +- 0.9 % and 91.5 +- 0.6 %.
Several seeds at once: --config.population.seeds=5.
"""

from jaxbio.configs import base, spiking_data


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``."""
    config = base.get_config("stdp")
    config.name = "lc_snn"
    config.spiking.c_w = -80.0  # chosen on validation images, see docs/results.md
    return spiking_data.apply_data(config, variant)

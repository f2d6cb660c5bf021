"""Locally connected spiking network whose competition learns, too.

Digits, offline: python train.py --config=configs/lc_snn_competition.py
MNIST, the published protocol: python train.py --config=configs/lc_snn_competition.py:mnist
(with --config.data.data_dir=DIR or JAXBIO_DATA_DIR). Published on MNIST:
LC 25/12 with trained competition: 82.3 +- 1.0 % by voting, 82.3 +- 0.6 % by a linear readout
(mean of 5 seeds).
Several seeds at once: --config.population.seeds=5.
"""

from jaxbio.configs import base, spiking_data


def get_config(variant: str = "digits"):
    """``digits`` or ``mnist``."""
    config = base.get_config("stdp")
    config.name = "lc_snn_competition"
    spiking = config.spiking
    spiking.trained_competition = True
    # c_w, a_pos and a_neg: chosen on validation images, see docs/results.md.
    spiking.c_w = -80.0
    spiking.a_pos = -0.02
    spiking.a_neg = -1.6
    spiking.tau_pos = 17.7
    spiking.tau_neg = 16.5
    return spiking_data.apply_data(config, variant)

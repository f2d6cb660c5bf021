"""The section ``spiking`` of a configuration: read, and checked before anything is computed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.ops.encoding import list_encoders
from jaxbio.runs.periods import Periods
from jaxbio.runs.schedules import duration_in_steps
from jaxbio.spiking.network import Network, Parameters
from jaxbio.spiking.presentation import Learning
from jaxbio.spiking.readouts import READOUTS

_POSITIVE = ("tau_pos", "tau_neg", "tau_x", "tau_v", "tau_theta", "mean_weight")
_TEST_ON = ("test", "validation")


def read_network(config: ConfigDict) -> tuple[Network, Parameters]:
    """The network and its numbers that ``config.spiking`` describes.

    Raises:
      InputError: sizes that do not fit each other, a negative intensity, excitatory
        competition, a time constant that is not positive, an unknown encoder.
    """
    spiking = config.spiking
    fields = {field.name for field in dataclasses.fields(Network)}
    network = Network(**{name: spiking[name] for name in fields})
    check_numbers({name: spiking[name] for name in Parameters._fields}, "spiking.")
    if spiking.encoder not in list_encoders():
        raise InputError(f"spiking.encoder='{spiking.encoder}': use {', '.join(list_encoders())}")
    return network, Parameters(**{name: spiking[name] for name in Parameters._fields})


def check_numbers(numbers: Mapping[str, float], where: str) -> None:
    """Raises an ``InputError`` for a number that a network cannot have.

    Args:
      numbers: some of the ``Parameters``, by name.
      where: what the message puts before the name.
    """
    for name, value in numbers.items():
        if name == "intensity" and value < 0:
            raise InputError(f"{where}{name}={value}: use 0 or more, in Hz")
        if name == "c_w" and value > 0:
            raise InputError(f"{where}{name}={value}: competition inhibits, use 0 or less, in mV")
        if name in _POSITIVE and value <= 0:
            raise InputError(f"{where}{name}={value}: use more than 0")


def check_test(spiking: Any, network: Network) -> None:
    """Raises an ``InputError`` for a readout, a number or a choice of images that cannot be.

    Runs recorded before there was a choice of images have no such key: they test on the test set.

    Args:
      spiking: the section of the configuration.
      network: whose filters vote.
    """
    if spiking.readout not in READOUTS:
        raise InputError(f"spiking.readout='{spiking.readout}': use {', '.join(READOUTS)}")
    if not 1 <= spiking.top_n <= network.filters:
        raise InputError(
            f"spiking.top_n={spiking.top_n}: use 1 to {network.filters}, the filters of a position"
        )
    if (test_on := spiking.get("test_on", _TEST_ON[0])) not in _TEST_ON:
        raise InputError(f"spiking.test_on='{test_on}': use {' or '.join(_TEST_ON)}")
    for name in ("calibration_images", "test_images"):
        if spiking[name] < 1:
            raise InputError(f"spiking.{name}={spiking[name]}: use 1 or more")


def what_learns(spiking: Any, network: Network) -> Learning:
    """The connections that learn; two-step training changes them on its way.

    Runs recorded before a connection could be frozen have no such keys: there all learn.

    Raises:
      InputError: two-step training with a frozen connection or a saved network, or without trained
        competition.
    """
    xy, yy = spiking.get("learn_xy", True), spiking.get("learn_yy", True)
    if spiking.two_step:
        if not network.trained_competition:
            raise InputError("spiking.two_step=True needs spiking.trained_competition=True")
        if not (xy and yy):
            raise InputError(
                f"spiking.two_step=True decides itself what learns when: remove spiking.learn_xy="
                f"{xy}, spiking.learn_yy={yy}"
            )
        if spiking.get("start_from", ""):
            raise InputError(
                f"spiking.start_from={spiking.start_from} with spiking.two_step=True: the second "
                "step of a saved network is spiking.learn_xy=False, without two_step"
            )
    return Learning(xy=xy, yy=yy)


def read_periods(config: ConfigDict) -> Periods:
    """When things happen, in chunks of ``train.batch_size`` images.

    Raises:
      InputError: numbers of images that are not multiples of each other.
    """
    chunk, images = config.train.batch_size, config.spiking.train_images
    if chunk < 1 or images < chunk or images % chunk:
        raise InputError(
            f"spiking.train_images={images} must be a multiple of train.batch_size={chunk}, the "
            "number of images between two possible checkpoints"
        )
    together = config.spiking.images_per_update
    if together < 1 or chunk % together:
        raise InputError(
            f"spiking.images_per_update={together} must be 1 or more and divide "
            f"train.batch_size={chunk}"
        )
    total = images // chunk
    return Periods(
        total=total,
        evaluate=duration_in_steps(config.eval, "every", total),
        checkpoint=duration_in_steps(config.checkpoint, "every", total),
        patience=0,
    )

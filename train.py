"""Trains a model, or goes on where an interrupted run stopped.

Usage:
  python train.py --config=configs/svp_resnet.py             # real digits, offline, minutes
  python train.py --config=configs/svp_resnet.py:imagenet --config.data.data_dir=DIR
  python train.py --config=configs/svp_resnet.py --config.model.front_end=none --workdir=runs/plain

Variants (after the colon) choose the data set; configs/base.py says where all keys are listed.
Repeating a command resumes its run exactly; a finished run says so.
"""

import sys
from pathlib import Path

from absl import flags

from jaxbio.commands import shared as command_line
from jaxbio.errors import InputError, NonFiniteError
from jaxbio.tasks.config import check_config


def main(config, values: flags.FlagValues) -> None:
    """Trains as configured."""
    if config is None:
        raise InputError("--config is missing: for example --config=configs/svp_resnet.py")
    check_config(config)
    command_line.start_jax()
    from jaxbio.tasks.loop import train
    from jaxbio.tasks.rdm.teachers import train_all

    run = train_all if config.get("teachers") else train
    try:
        run(config, values.workdir or str(Path("runs") / config.name))
    except NonFiniteError as error:
        print(f"train.py: stopped: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    command_line.define_flags()
    flags.adopt_module_key_flags(command_line)  # shows them in --help
    command_line.run(main)

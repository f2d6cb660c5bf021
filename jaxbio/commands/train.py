"""Trains a model, or goes on where an interrupted run stopped.

  jaxbio train svp_resnet                    # real digits, offline, minutes
  jaxbio train svp_resnet:imagenet data.data_dir=DIR
  jaxbio train svp_resnet model.front_end=none --workdir=runs/plain
  jaxbio train svp_resnet --seeds=0:5        # five runs, their mean and deviation
  python train.py --config=configs/svp_resnet.py --config.model.front_end=none

Variants (after the colon) choose the data set; configs/base.py says where all keys are listed.
Repeating a command resumes its run exactly; a finished run says so.
"""

import argparse
from pathlib import Path

import jaxbio
from jaxbio.commands.command_line import Parser, add_processes, start_jax
from jaxbio.commands.experiments import add_experiment, chosen, open_config
from jaxbio.commands.sweep import add_seeds, run_sweep
from jaxbio.errors import InputError
from jaxbio.runs.progress import say


def options(parser: Parser) -> None:
    """The command's arguments."""
    add_experiment(parser)
    add_seeds(parser)
    add_processes(parser)


def run(options: argparse.Namespace) -> None:
    """Trains as configured."""
    experiment, overrides = chosen(options)
    if experiment is None:
        raise InputError("--config is missing: for example --config=configs/svp_resnet.py")
    if options.seeds is not None:
        run_sweep(experiment, overrides, [], options)
        return
    config = open_config(experiment, overrides)
    workdir = options.workdir or str(Path("runs") / config.name)
    if not options.process_id:
        say(f"jaxbio {jaxbio.__version__}: {config.name} in {workdir}; starting JAX")
    start_jax(options)
    from jaxbio.tasks.loop import train
    from jaxbio.tasks.rdm.teachers import train_all

    start = train_all if config.get("teachers") else train
    start(config, workdir)

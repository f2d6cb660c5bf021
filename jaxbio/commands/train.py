"""Trains a model, or goes on where an interrupted run stopped.

  jaxbio train svp_resnet                    # real digits, offline, minutes
  jaxbio train svp_resnet:imagenet data.data_dir=DIR
  jaxbio train svp_resnet model.front_end=none --workdir=runs/plain
  jaxbio train svp_resnet --data=DIR --split=0.1   # DIR/train/CLASS/*, a tenth for validation
  jaxbio train svp_resnet --seeds=0:5        # five runs, their mean and deviation
  jaxbio train fine_tune model.init_from=runs/NAME data.data_dir=DIR   # one's own classes
  jaxbio train cornet_rt --extend=10         # ten epochs more
  jaxbio train svp_resnet --from_checkpoint=500 optimizer.learning_rate=0.001   # a new run
  python train.py --config=configs/svp_resnet.py --config.model.front_end=none

Variants (after the colon) choose the data set; configs/base.py says where all keys are listed.
Repeating a command resumes its run exactly; a finished run says so.
"""

import argparse
from pathlib import Path
from typing import Any

import jaxbio
from jaxbio.commands.command_line import Parser, add_processes, start_jax
from jaxbio.commands.experiments import add_experiment, chosen, open_config
from jaxbio.commands.sweep import add_seeds, run_sweep
from jaxbio.errors import InputError
from jaxbio.runs.progress import say
from jaxbio.runs.waiting import waiting
from jaxbio.tasks.config import check_training
from jaxbio.tasks.extension import Beginning, check_extension


def options(parser: Parser) -> None:
    """The command's arguments."""
    add_experiment(parser)
    add_seeds(parser)
    parser.add_argument(
        "--split",
        metavar="SHARE",
        help="of the training images held out for validation: short for data.split=SHARE",
    )
    parser.add_argument(
        "--extend",
        metavar="EPOCHS",
        default="",
        help="train longer than the configuration says, also after the end: epochs, or such as "
        "500steps where train.total_steps is set",
    )
    parser.add_argument(
        "--from_checkpoint",
        metavar="[RUN:]STEP",
        help="begin a new run with this checkpoint of runs/NAME, or of another run; its default "
        "directory is that run's with _from_STEP",
    )
    add_processes(parser)


def run(options: argparse.Namespace) -> None:
    """Trains as configured."""
    experiment, overrides = chosen(options)
    if options.split is not None:
        overrides.append(("--split", "data.split", options.split))
    if experiment is None:
        raise InputError("--config is missing: for example --config=configs/svp_resnet.py")
    if options.seeds is not None:
        if options.extend or options.from_checkpoint:
            raise InputError("--extend and --from_checkpoint are of one run: leave out --seeds")
        run_sweep(experiment, overrides, [], options)
        return
    config = open_config(experiment, overrides)
    check_training(config)
    workdir = options.workdir or str(Path("runs") / config.name)
    more: dict[str, Any] = {}
    if options.from_checkpoint:
        beginning = Beginning.parse(options.from_checkpoint, str(Path("runs") / config.name))
        workdir = options.workdir or f"{beginning.run}_from_{beginning.step}"
        more["beginning"] = beginning
    if options.extend:
        check_extension(config, options.extend)
        more["extend"] = options.extend
    if more and config.get("teachers"):
        raise InputError("teachers makes several runs: --extend and --from_checkpoint are of one")
    if not options.process_id:
        say(f"jaxbio {jaxbio.__version__}: {config.name} in {workdir}; starting JAX")
    with waiting("starting JAX", tell=None if options.process_id else say):
        start_jax(options)
        from jaxbio.tasks.loop import train

    if config.get("teachers"):
        from jaxbio.tasks.rdm.teachers import train_all

        train_all(config, workdir)
    else:
        train(config, workdir, **more)

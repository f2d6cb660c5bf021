"""Evaluates a run, or converted weights.

  jaxbio evaluate svp_resnet                 # the run in runs/svp_resnet_digits
  jaxbio evaluate runs/svp_resnet_digits --checkpoint=last
  jaxbio evaluate runs/squeezenet1_0 --data=DIR      # other pictures than the run's, by class
  jaxbio evaluate svp_resnet --mode=robustness --severity=3
  jaxbio evaluate svp_resnet --mode=features --images=DIR --layers=v2,layer4
  jaxbio evaluate svp_resnet --mode=similarity --neural=FILE --region=IT
  jaxbio evaluate cornet_rt --mode=time
  python evaluate.py --config=configs/lc_snn.py --config.spiking.readout=top_n

Results are printed, and written as JSON and figures into the run directory.
"""

import argparse
import contextlib
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import jaxbio
from jaxbio.commands.command_line import Parser, add_processes, start_jax
from jaxbio.commands.experiments import add_experiment, chosen, config_of_run, open_config, trained
from jaxbio.errors import InputError
from jaxbio.files import read_json
from jaxbio.measures.measure import measures


def options(parser: Parser) -> None:
    """The command's arguments: those of all modes, and of the chosen one."""
    add_experiment(parser, " or RUN_DIRECTORY")
    add = parser.add_argument
    add("--mode", choices=list(measures()), default="accuracy", help="what to measure")
    add("--checkpoint", default="best", metavar="WHICH", help="best (default), last or a step")
    add(
        "--format",
        choices=("png", "pdf", "svg"),
        default="png",
        help="of the figures, beside the PNG that pages and the board show",
    )
    add_processes(parser)
    # Modes may share a flag's name with defaults of their own: only the chosen one's are declared.
    early = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    early.add_argument("--mode", nargs="?")
    mode = early.parse_known_args(parser.words)[0].mode
    others = []
    measure: Any
    for name, measure in measures().items():
        title = f"--mode={name}: {measure.__doc__.splitlines()[0]}"
        if name == (mode or "accuracy"):
            measure.options(parser.add_argument_group(title).add_argument)
            continue
        other = Parser(add_help=False, usage=argparse.SUPPRESS)
        measure.options(other.add_argument_group(title).add_argument)
        others.append(other.format_help().strip())
        flags = [flag for action in other._actions for flag in action.option_strings]
        parser.elsewhere.update(dict.fromkeys(flags, f"--mode={name}"))
    if mode is None:
        parser.epilog = "\n\n".join(others)


def run(options: argparse.Namespace) -> None:
    """Measures as asked."""
    workdir = options.workdir
    if workdir is None and options.config is None and options.words[:1]:
        workdir = options.words.pop(0) if Path(options.words[0]).is_dir() else None
    experiment, overrides = chosen(options)
    if experiment is None and workdir is None:
        raise InputError("which run? give its directory, or the name of its experiment")
    config: Any = None if experiment is None else open_config(experiment, overrides)
    workdir = str(trained(Path(workdir or Path("runs") / config.name), experiment))
    recorded = read_json(Path(workdir) / "config.json")
    if experiment is None and overrides:
        config = config_of_run(recorded, overrides)
    if not options.process_id:
        print(f"jaxbio {jaxbio.__version__}: {options.mode} of {workdir}; starting JAX", flush=True)
    start_jax(options)
    if recorded.get("config", {}).get("task") == "stdp":
        _test_spiking(config, workdir, options)
        return
    from jaxbio.tasks.classification.opened import open_session

    measure = measures()[options.mode]
    session = open_session(
        config, workdir, options.checkpoint, with_data=measure.needs_data(options)
    )
    with contextlib.ExitStack() as figures:
        if options.format != "png":  # written besides (jaxbio/runs/figures.py)
            import matplotlib

            figures.enter_context(matplotlib.rc_context({"savefig.format": options.format}))
        measure.run(session, options)


def _test_spiking(config: ConfigDict | None, workdir: str, options: argparse.Namespace) -> None:
    from jaxbio.tasks.stdp.evaluate import report_spiking

    if options.mode != "accuracy":
        raise InputError(
            f"--mode={options.mode} needs a network with layers and gradients; a spiking network "
            "of task stdp learns without: it has --mode=accuracy"
        )
    report_spiking(config, workdir, options.checkpoint, options.member)

"""Evaluates a run, or converted weights, on the exact test set.

Usage:
  python evaluate.py --config=configs/svp_resnet.py
  python evaluate.py --workdir=runs/svp_resnet_digits --checkpoint=last
  python evaluate.py --config=configs/svp_resnet.py --mode=robustness --severity=3

Modes: accuracy (top-1, top-5, loss) and robustness (the same under image corruptions). Results are
printed, and written as JSON into the run directory.
"""

from pathlib import Path

from absl import flags

from jaxbio import command_line
from jaxbio.errors import InputError

flags.DEFINE_enum("mode", "accuracy", ["accuracy", "robustness"], "What to measure.")
flags.DEFINE_string("checkpoint", "best", "Which checkpoint: best, last or a step.")
flags.DEFINE_list("corruption", ["all"], "robustness: names, or benchmark, validation or all.")
flags.DEFINE_list("severity", ["all"], "robustness: severities 1 to 5, or all.")
flags.DEFINE_bool("reference", False, "robustness: corrupt by the imagecorruptions package.")
flags.DEFINE_integer("workers", 0, "robustness: processes of --reference; 0: one per core.")
flags.DEFINE_list("compare", [], "robustness: other measured run directories, shown beside.")
flags.DEFINE_alias("corruptions", "corruption")
flags.DEFINE_alias("severities", "severity")


def main(config, values: flags.FlagValues) -> None:
    """Evaluates as configured."""
    if config is None and values.workdir is None:
        raise InputError("--config and --workdir are missing: give one of them")
    command_line.start_jax()
    from jaxbio.evaluation import commands

    workdir = values.workdir or str(Path("runs") / config.name)
    session = commands.open_session(config, workdir, values.checkpoint)
    if values.mode == "accuracy":
        commands.report_accuracy(session)
    else:
        commands.report_robustness(
            session,
            values.corruption,
            values.severity,
            reference=values.reference,
            workers=values.workers,
            compare=values.compare,
        )


if __name__ == "__main__":
    command_line.define_flags()
    flags.adopt_module_key_flags(command_line)  # shows them in --help
    command_line.run(main)

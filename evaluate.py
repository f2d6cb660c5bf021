"""Evaluates a run, or converted weights.

Usage:
  python evaluate.py --config=configs/svp_resnet.py
  python evaluate.py --workdir=runs/svp_resnet_digits --checkpoint=last
  python evaluate.py --config=configs/svp_resnet.py --mode=robustness --severity=3
  python evaluate.py --config=configs/svp_resnet.py --mode=features --images=DIR --layers=v2,layer4
  python evaluate.py --config=configs/svp_resnet.py --mode=similarity --neural=FILE --region=IT
  python evaluate.py --config=configs/cornet_rt.py --mode=time
  python evaluate.py --config=configs/lc_snn.py --config.spiking.readout=top_n

Modes: accuracy (top-1, top-5, loss on the exact test set; the readouts of spiking networks),
robustness (the same under image corruptions, docs/robustness.md), features (the activity of layers,
into a file, docs/features.md), similarity (layers against neural recordings, docs/similarity.md),
time (a CORnet's accuracy at every time step, docs/cornet.md). Results are printed, and written as
JSON and figures into the run directory.
"""

from pathlib import Path

from absl import flags

from jaxbio.commands import shared as command_line
from jaxbio.errors import InputError
from jaxbio.measures import modes


def main(config, values: flags.FlagValues) -> None:
    """Evaluates as configured."""
    if config is None and values.workdir is None:
        raise InputError("--config and --workdir are missing: give one of them")
    command_line.start_jax()
    modes.run(config, values.workdir or str(Path("runs") / config.name), values)


if __name__ == "__main__":
    command_line.define_flags()
    modes.define_flags()
    for module in (command_line, modes):  # shows their flags in --help
        flags.adopt_module_key_flags(module)
    command_line.run(main)

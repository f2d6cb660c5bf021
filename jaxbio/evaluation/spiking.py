"""The accuracy of a spiking network, with every readout, on recorded or new presentations."""

from typing import Any

from ml_collections import ConfigDict

from jaxbio.spiking.registry import find_network
from jaxbio.spiking.report import measure_readouts
from jaxbio.spiking.saved import open_network
from jaxbio.training.progress import format_table
from jaxbio.training.run_directory import RunDirectory, write_json


def report_spiking(
    config: ConfigDict | None, workdir: str, checkpoint: str = "best"
) -> dict[str, Any]:
    """Tests a saved network again; JSON in ``evaluation/accuracy.json``.

    Presentations are recorded once per weights and settings, so that another readout costs no
    simulation.

    Args:
      config: its ``spiking.top_n`` counts; None takes the run's.
      workdir: the run directory; of a population the first member is tested.
      checkpoint: ``best``, ``last`` or a step.

    Raises:
      InputError: no such run or checkpoint, or the data is missing.
    """
    run = RunDirectory(workdir)
    saved = open_network(find_network(run.path.parent, run.path.name), checkpoint)
    top_n = (config or saved.experiment.config).spiking.top_n
    measured = measure_readouts(
        saved.activity("calibration"),
        saved.activity("test"),
        len(saved.class_names),
        top_n=top_n,
        seed=saved.experiment.members[saved.member].seed,
    )
    result = {
        "run": str(run.path),
        "step": int(saved.state.step),
        "data": saved.experiment.source.describe(),
        "readouts": {name: one.record() for name, one in measured.items()},
    }
    rows = [("readout", "accuracy %", "standard error %", "images")]
    rows += [
        (name, f"{100 * one.accuracy:.2f}", f"{100 * one.error:.2f}", str(one.count))
        for name, one in measured.items()
    ]
    file = run.path / "evaluation" / "accuracy.json"
    write_json(file, result)
    print(f"{run.path}, checkpoint of step {result['step']}\n\n{format_table(rows)}\n")
    print(f"written to {file}")
    return result

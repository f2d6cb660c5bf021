"""The accuracy of saved spiking networks, with every readout, on recorded or new presentations."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxbio.errors import InputError
from jaxbio.files import csv_text, read_json, write_json, write_text
from jaxbio.runs.directory import RunDirectory, compare_configs
from jaxbio.runs.progress import format_table
from jaxbio.spiking.accuracy import Accuracy, read_out
from jaxbio.spiking.readouts import NO_LABEL
from jaxbio.tasks.config import restored_config
from jaxbio.tasks.stdp.data import draw
from jaxbio.tasks.stdp.registry import TASK, find_network
from jaxbio.tasks.stdp.report import accuracy_rows
from jaxbio.tasks.stdp.results import grid_points, percent, search_table, summarise
from jaxbio.tasks.stdp.saved import SavedNetwork, open_network

# A test may have its own.
_OF_THE_TEST = ("readout", "top_n", "calibration_images", "test_images", "test_on")
# These say how a network came to be; a test does not depend on them.
_OF_THE_TRAINING = (
    "train_images",
    "images_per_step",
    "images_per_update",
    "two_step",
    "learn_xy",
    "learn_yy",
    "start_from",
    "start_member",
)


def report_spiking(
    config: ConfigDict | None, workdir: str, checkpoint: str = "best", member: int | None = None
) -> dict[str, Any]:
    """Tests a saved network again; JSON in ``evaluation/accuracy.json``.

    Of one network on the test set ``evaluation/predictions.csv`` has every presentation's answer.

    Presentations are recorded once per weights and settings, so that another readout costs no
    simulation.

    Args:
        config: its readout, ``top_n``, and numbers of calibration and test images count; for the
            rest it must be the run's. None takes the run's.
        workdir: the run directory.
        checkpoint: ``best``, ``last`` or a step.
        member: of a population, from 0 (JSON in ``accuracy_member_<n>.json``); None tests all.

    Raises:
        InputError: no such run, checkpoint or member, a configuration of another network, an
            unknown readout, or the data is missing.
    """
    run = RunDirectory(workdir)
    changes = {} if config is None else _changes(run, config)
    entry = find_network(run.path.parent, run.path.name)
    saved = open_network(entry, checkpoint, member or 0, changes)
    spiking = saved.task.config.spiking
    members = saved.task.members
    chosen = range(len(members)) if member is None else [member]
    measured = [
        dataclasses.replace(saved, member=number).measure(spiking.top_n) for number in chosen
    ]
    results = summarise(measured, [members[number] for number in chosen], spiking.readout)
    result = {
        "run": str(run.path),
        "step": int(saved.state.step),
        "data": saved.task.source.describe(),
        "readout": spiking.readout,
        **results,
    }
    if member is not None:
        result["member"] = {"number": member, **dataclasses.asdict(members[member])}
    name = "accuracy" if member is None else f"accuracy_member_{member}"
    file = run.path / "evaluation" / f"{name}.json"
    if member is None:
        _write_predictions(run, saved)
    write_json(file, result)
    which = "" if member is None else f", member {member}"
    print(f"{run.path}, checkpoint of step {result['step']}{which}\n")
    print(f"{_table(measured, results)}\n")
    score = percent(results["accuracy"], results["error"])
    print(f"{spiking.readout} {score} %\nwritten to {file}")
    return result


def _write_predictions(run: RunDirectory, saved: SavedNetwork) -> None:
    """What the chosen readout says of each presentation; nothing of a population or validation."""
    file = run.path / "evaluation" / "predictions.csv"
    spiking, names = saved.task.config.spiking, saved.class_names
    if len(saved.task.members) > 1 or spiking.test_on != "test":
        file.unlink(missing_ok=True)  # would be of another test than accuracy.json
        return
    seed = saved.task.members[0].seed
    counts, labels = saved.activity("test")
    said = read_out(
        spiking.readout,
        saved.activity("calibration"),
        counts,
        len(names),
        top_n=spiking.top_n,
        seed=seed,
    )
    shown = draw("test", len(saved.task.pictures.test[0]), len(labels), seed)
    split = saved.task.source.eval
    rows: list[tuple[Any, ...]] = [("picture", "class", "answer", "probability", "correct")]
    for number, label, answer in zip(shown, labels, said, strict=True):
        name = "none" if answer == NO_LABEL else names[answer]
        rows.append((split.example_name(int(number)), names[label], name, "", int(answer == label)))
    write_text(file, csv_text(rows))


def _table(measured: Sequence[Mapping[str, Accuracy]], results: Mapping[str, Any]) -> str:
    if len(measured) == 1:
        return format_table(accuracy_rows(measured[0]))
    return format_table(search_table(grid_points(results["population"])))


def _changes(run: RunDirectory, config: ConfigDict) -> dict[str, Any]:
    """What a test with ``config`` changes in the run's own configuration."""
    if config.task != TASK:
        raise InputError(f"--config is of task {config.task}, {run.path} of {TASK}: use its own")
    then = restored_config(read_json(run.config_file))
    compare_configs(_network_settings(then), _network_settings(config), run.path)
    return {
        **{f"spiking.{name}": config.spiking[name] for name in _OF_THE_TEST},
        "eval.batch_size": config.eval.batch_size,
        "data.data_dir": config.data.data_dir,
    }


def _network_settings(config: ConfigDict) -> dict[str, Any]:
    """The part of a configuration that says what the network is, and what it is shown."""
    left_out = (*_OF_THE_TEST, *_OF_THE_TRAINING)
    return {
        "task": config.task,
        "seed": config.seed,
        "data": {"source": config.data.source},
        "population": config.population.to_dict(),
        "spiking": {key: v for key, v in config.spiking.items() if key not in left_out},
    }

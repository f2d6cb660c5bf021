"""Spiking networks with STDP on MNIST: the project's own table of twelve, and its README.

Every row is a population of seeds by the same loop as ``jaxbio train``. Parameters were chosen on
validation images (benchmarks/spiking_accuracy.py --grid), the test set unseen.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxbio.reproduce.run import trained
from jaxbio.reproduce.statistics import mean_of
from jaxbio.reproduce.table import Context, Measured, Need, Published, Row, Table, below

VOTING = ("patch_voting", "all_voting", "spikes_first")
MNIST = Need(
    "MNIST, the four IDX files in DATA/mnist",
    "yann.lecun.com/exdb/mnist or any mirror of the IDX files",
    "12 MB",
    below("mnist"),
)


class Network(NamedTuple):
    """A row of the published table.

    Attributes:
        title: as published.
        config: module in ``jaxbio.configs``, variant mnist.
        changes: of its section ``spiking``.
        voting: published accuracies by voting.
        linear: by a linear readout of spike counts.
    """

    title: str
    config: str
    changes: dict[str, Any]
    voting: tuple[Published, ...]
    linear: tuple[Published, ...]


def _one(percent: float, spread: float) -> tuple[Published, ...]:
    return (Published(round(percent / 100, 4), round(spread / 100, 4), "table"),)


def _readme(value: float) -> tuple[Published, ...]:
    return (Published(value, None, "README, a best run"),)


NETWORKS = {
    "lc_1000_12": Network(
        "LC 1000/12", "lc_snn",
        {"filters": 1000, "mean_weight": 0.4, "c_w": -40.0, "train_images": 2000},
        _one(92.3, 0.7), _one(95.1, 0.5),
    ),
    "lc_100_12": Network(
        "LC 100/12", "lc_snn",
        {"filters": 100, "mean_weight": 0.4, "c_w": -60.0, "train_images": 3200},
        _one(87.5, 0.9) + _readme(0.896), _one(91.5, 0.6),
    ),
    "lc_100_8": Network(
        "LC 100/8", "lc_snn",
        {"filters": 100, "kernel": 8, "mean_weight": 0.6, "c_w": -60.0, "train_images": 2000},
        _one(82.9, 0.6), _one(88.1, 0.7),
    ),
    "lc_25_12_trained": Network(
        "LC 25/12, trained competition", "lc_snn_competition", {}, _one(82.3, 1.0), _one(82.3, 0.6)
    ),
    "lc_25_12": Network(
        "LC 25/12", "lc_snn", {"train_images": 2000}, _one(80.1, 1.0), _one(85.5, 0.8)
    ),
    "lc_25_8": Network(
        "LC 25/8", "lc_snn", {"kernel": 8, "mean_weight": 0.6, "c_w": -100.0},
        _one(73.6, 1.0) + _readme(0.75), _one(80.3, 0.7),
    ),
    "c_169_12": Network(
        "C 169/12", "c_snn", {"filters": 169, "train_images": 1000},
        _one(79.2, 1.6), _one(85.7, 1.4),
    ),
    "c_81_12": Network(
        "C 81/12", "c_snn", {"filters": 81, "mean_weight": 0.5, "train_images": 1000},
        _one(77.2, 1.7), _one(83.1, 1.2),
    ),
    "c_100_8": Network(
        "C 100/8", "c_snn",
        {"filters": 100, "kernel": 8, "mean_weight": 0.5, "c_w": -60.0, "train_images": 1000},
        _one(77.4, 1.9), _one(82.1, 1.3),
    ),
    "c_25_12": Network(
        "C 25/12", "c_snn", {"c_w": -110.0, "train_images": 2000}, _one(65.8, 0.7), _one(77.1, 0.6)
    ),
    "c_25_8": Network(
        "C 25/8", "c_snn", {"kernel": 8, "mean_weight": 0.6}, _one(63.1, 1.2), _one(75.8, 0.5)
    ),
    "fc_100": Network("FC 100", "fc_snn", {}, _one(81.4, 0.9), _one(82.1, 0.8)),
    "lc_25_12_two_step": Network(
        "LC 25/12, two-step training", "lc_snn_two_step", {},
        (Published(0.762, 0.007, "five best of 63"),), (Published(0.851, 0.020, "five of 63"),),
    ),
}  # fmt: skip


def configured(name: str) -> Any:
    """The configuration of a row, one network."""
    network = NETWORKS[name]
    config = importlib.import_module(f"jaxbio.configs.{network.config}").get_config("mnist")
    config.spiking.update(network.changes)
    return config


def train_row(name: str, context: Context) -> tuple[Any, Path]:
    """Trains a row's population, or finds it trained; see :func:`jaxbio.reproduce.run.trained`."""
    config = configured(name)
    config.population.seeds = context.seeds
    config.data.data_dir = str(context.data)
    config.log.tensorboard = False
    return trained(config, f"{name}_{context.seeds}_seeds", context)


def _rows(context: Context) -> Sequence[Row]:
    rows = []
    for name, network in NETWORKS.items():
        changed = ", ".join(f"{key}={value}" for key, value in network.changes.items())
        text = f"{network.config}:mnist {changed}".strip()
        for readout in ("voting", "linear"):
            published = getattr(network, readout)
            rows.append(Row(f"{network.title}, {readout}", text, published, detail=(name, readout)))
    return rows


def _measure(row: Row, context: Context) -> Measured:
    name, readout = row.detail
    results, run = train_row(name, context)
    readouts = results["readouts"]
    chosen = "linear"
    if readout == "voting":
        chosen = max(VOTING, key=lambda vote: readouts[vote]["accuracy"])
    members = results.get("population", [results])
    values = np.array([member["readouts"][chosen]["accuracy"] for member in members])
    note = "the best of three votings in the mean of the seeds" if readout == "voting" else ""
    more = {"readout": chosen, "run": str(run), "seeds": values.tolist()}
    return mean_of(values, readouts[chosen]["error"], note, more)


TABLE = Table(
    title="Spiking networks with STDP on MNIST",
    source="README and table of github.com/danielgafni/Bachelor (mean of 5)",
    needs=(MNIST,),
    took="71 min for the twelve, five seeds (LC 1000/12: one), docs/results.md",
    rows=_rows,
    measure=_measure,
    about=(
        "reached: the mean is above the published one minus its standard deviation; the README's "
        "values are best runs and have none",
        "curves of a row (accuracy by training images, by n of top_n; search surfaces of a grid): "
        "jaxbio spiking --runs=OUTPUT/runs report NAME",
    ),
)

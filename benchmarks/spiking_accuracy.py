"""Accuracies of spiking networks on MNIST beside the published ones, as rows of a table.

  python benchmarks/spiking_accuracy.py lc_100_12 [--seeds=5] [--runs=runs/spiking]
  python benchmarks/spiking_accuracy.py lc_25_12 --grid="mean_weight=0.4,0.46;c_w=-100,-127"
  python benchmarks/spiking_accuracy.py --list

Every row is one population of seeds, trained by the same loop as train.py: repeating a command goes
on where it was stopped. Data come from JAXBIO_DATA_DIR. "voting" is the best of patch_voting,
all_voting and spikes_first, chosen on the mean of all seeds; +- is the standard deviation of seeds.

With --grid, parameters are compared on validation images (the second half of the calibration
images; other seeds, from 100): the test set has no part in choosing them. Points are sorted by
their margin: by how much voting and linear readout, the one that does worse, are above the
published mean minus a standard deviation.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np

from configs import c_snn, fc_snn, lc_snn, lc_snn_competition, lc_snn_two_step

# name: experiment, changes (chosen by --grid), published voting and linear accuracy (mean, standard
# deviation, %)
_ROWS = {
    "lc_25_12": (lc_snn, {"train_images": 2000}, (80.1, 1.0), (85.5, 0.8)),
    "lc_25_8": (lc_snn, {"kernel": 8, "mean_weight": 0.6, "c_w": -100.0}, (73.6, 1.0), (80.3, 0.7)),
    "lc_100_12": (
        lc_snn,
        {"filters": 100, "mean_weight": 0.4, "c_w": -60.0, "train_images": 3200},
        (87.5, 0.9),
        (91.5, 0.6),
    ),
    "lc_100_8": (
        lc_snn,
        {"filters": 100, "kernel": 8, "mean_weight": 0.6, "c_w": -60.0, "train_images": 2000},
        (82.9, 0.6),
        (88.1, 0.7),
    ),
    "lc_1000_12": (
        lc_snn,
        {"filters": 1000, "mean_weight": 0.4, "c_w": -100.0},
        (92.3, 0.7),
        (95.1, 0.5),
    ),
    "lc_25_12_trained": (lc_snn_competition, {}, (82.3, 1.0), (82.3, 0.6)),
    "lc_25_12_two_step": (lc_snn_two_step, {}, (76.2, 0.7), (85.1, 2.0)),
    "c_25_12": (c_snn, {"c_w": -110.0, "train_images": 2000}, (65.8, 0.7), (77.1, 0.6)),
    "c_25_8": (c_snn, {"kernel": 8, "mean_weight": 0.6}, (63.1, 1.2), (75.8, 0.5)),
    "c_81_12": (
        c_snn,
        {"filters": 81, "mean_weight": 0.5, "train_images": 1000},
        (77.2, 1.7),
        (83.1, 1.2),
    ),
    "c_100_8": (
        c_snn,
        {"filters": 100, "kernel": 8, "mean_weight": 0.5, "c_w": -60.0, "train_images": 1000},
        (77.4, 1.9),
        (82.1, 1.3),
    ),
    "c_169_12": (c_snn, {"filters": 169, "train_images": 1000}, (79.2, 1.6), (85.7, 1.4)),
    "fc_100": (fc_snn, {}, (81.4, 0.9), (82.1, 0.8)),
}
_FIRST_GRID_SEED = 100
_VOTING = ("patch_voting", "all_voting", "spikes_first")


def measure(name: str, seeds: int, runs: Path, changes: list[str]) -> str:
    """Trains and tests what is missing of a row; returns the row."""
    from jaxbio.tasks.loop import train

    experiment, numbers, voting, linear = _ROWS[name]
    config = _config(experiment, numbers, changes)
    config.population.seeds = seeds
    began = time.monotonic()
    workdir = runs / "-".join([name, f"{seeds}seeds", *changes])
    results = train(config, str(workdir))
    if results is None:
        return f"| {name} | stopped: repeat the command |"
    seconds = _seconds(workdir / "seconds.json", time.monotonic() - began)
    readouts = results["readouts"]
    members = results.get("population", [{"readouts": readouts}])
    best = max(_VOTING, key=lambda vote: readouts[vote]["accuracy"])

    def ours(readout: str) -> str:
        values = [100 * member["readouts"][readout]["accuracy"] for member in members]
        spread = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{spread}"

    return (
        f"| {name} | {ours(best)} ({best}) | {voting[0]} +- {voting[1]} | {ours('linear')} | "
        f"{linear[0]} +- {linear[1]} | {len(members)} | {seconds / 60:.1f} |"
    )


def compare(name: str, grid: str, seeds: int, runs: Path, changes: list[str]) -> list[str]:
    """Trains every point of a grid and tests it on validation images; lines, the best first."""
    from jaxbio.tasks.loop import train

    experiment, numbers, *published = _ROWS[name]
    config = _config(experiment, numbers, changes)
    config.seed = _FIRST_GRID_SEED
    config.spiking.test_on = "validation"
    config.spiking.calibration_images = config.spiking.test_images = 5000
    config.population.seeds = seeds
    config.population.grid = grid
    results = train(config, str(runs / "-".join([name, "grid", grid, f"{seeds}seeds", *changes])))
    if results is None:
        return ["stopped: repeat the command"]
    points: dict[str, list[dict]] = {}
    for member in results["population"]:
        numbers = {key: value for key, value in member.items() if key not in ("seed", "readouts")}
        point = " ".join(f"{key}={value:g}" for key, value in numbers.items())
        points.setdefault(point, []).append(member["readouts"])
    lines = []
    for point, members in points.items():
        means = {
            readout: 100 * np.mean([member[readout]["accuracy"] for member in members])
            for readout in (*_VOTING, "linear")
        }
        best = (max(means[vote] for vote in _VOTING), means["linear"])
        margin = min(ours - (mean - std) for ours, (mean, std) in zip(best, published, strict=True))
        shown = ", ".join(f"{readout} {mean:.1f}" for readout, mean in means.items())
        lines.append((margin, f"{name} {point}: {shown}, margin {margin:.1f}"))
    return [line for _, line in sorted(lines, reverse=True)]


def _config(experiment, numbers: dict, changes: list[str]):
    config = experiment.get_config("mnist")
    config.spiking.update(numbers)
    for change in changes:
        key, _, value = change.partition("=")
        config.spiking[key] = type(config.spiking[key])(value)
    return config


def _seconds(file: Path, now: float) -> float:
    """Wall time of the session that finished the row: kept, so that a repetition shows it again."""
    if not file.exists():
        file.write_text(json.dumps(now))
    return float(json.loads(file.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help="names of rows; none: all")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=Path, default=Path("runs/spiking"))
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of config.spiking")
    parser.add_argument("--grid", help="parameters to compare on validation images")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    if options.list:
        print("\n".join(_ROWS))
        return
    for name in options.rows:
        if name not in _ROWS:
            parser.error(f"unknown row '{name}': use --list")
    if options.grid:
        for name in options.rows:
            lines = compare(name, options.grid, options.seeds, options.runs, options.set)
            print("\n" + "\n".join(lines), flush=True)
        return
    lines = [
        "| network | voting % | published | linear % | published | seeds | minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in options.rows or _ROWS:
        lines.append(measure(name, options.seeds, options.runs, options.set))
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()

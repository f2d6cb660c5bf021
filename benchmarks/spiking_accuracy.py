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

from jaxbio.reproduce.spiking import NETWORKS, VOTING, configured

_FIRST_GRID_SEED = 100


def measure(name: str, seeds: int, runs: Path, changes: list[str]) -> str:
    """Trains and tests what is missing of a row; returns the row."""
    from jaxbio.tasks.loop import train

    voting, linear = (_percent(one) for one in (NETWORKS[name].voting, NETWORKS[name].linear))
    config = _config(name, changes)
    config.population.seeds = seeds
    began = time.monotonic()
    workdir = runs / "-".join([name, f"{seeds}seeds", *changes])
    results = train(config, str(workdir))
    if results is None:
        return f"| {name} | stopped: repeat the command |"
    seconds = _seconds(workdir / "seconds.json", time.monotonic() - began)
    readouts = results["readouts"]
    members = results.get("population", [{"readouts": readouts}])
    best = max(VOTING, key=lambda vote: readouts[vote]["accuracy"])

    def ours(readout: str) -> str:
        values = [100 * member["readouts"][readout]["accuracy"] for member in members]
        spread = f" +- {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
        return f"{np.mean(values):.1f}{spread}"

    texts = [f"{mean:.1f} +- {spread:.1f}" for mean, spread in (voting, linear)]
    return (
        f"| {name} | {ours(best)} ({best}) | {texts[0]} | {ours('linear')} | {texts[1]} | "
        f"{len(members)} | {seconds / 60:.1f} |"
    )


def compare(name: str, grid: str, seeds: int, runs: Path, changes: list[str]) -> list[str]:
    """Trains every point of a grid and tests it on validation images; lines, the best first."""
    from jaxbio.tasks.loop import train

    published = [_percent(one) for one in (NETWORKS[name].voting, NETWORKS[name].linear)]
    config = _config(name, changes)
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
            for readout in (*VOTING, "linear")
        }
        best = (max(means[vote] for vote in VOTING), means["linear"])
        margin = min(ours - (mean - std) for ours, (mean, std) in zip(best, published, strict=True))
        shown = ", ".join(f"{readout} {mean:.1f}" for readout, mean in means.items())
        lines.append((margin, f"{name} {point}: {shown}, margin {margin:.1f}"))
    return [line for _, line in sorted(lines, reverse=True)]


def _percent(published) -> tuple[float, float]:
    """The table's mean and standard deviation."""
    return 100 * published[0].value, 100 * published[0].spread


def _config(name: str, changes: list[str]):
    config = configured(name)
    change(config, changes)
    return config


def change(config, changes: list[str]) -> None:
    """Sets ``KEY=VALUE`` of the section ``spiking``."""
    for text in changes:
        key, _, value = text.partition("=")
        try:
            config.spiking[key] = type(config.spiking[key])(value)
        except (KeyError, ValueError):
            raise SystemExit(f"--set {text}: use KEY=VALUE of a key of config.spiking") from None


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
        print("\n".join(NETWORKS))
        return
    for name in options.rows:
        if name not in NETWORKS:
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
    for name in options.rows or NETWORKS:
        lines.append(measure(name, options.seeds, options.runs, options.set))
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()

"""Published spiking networks one by one beside networks of ours with the same parameters.

  python benchmarks/spiking_scan.py published_snn_networks.csv lc_25_12_trained [--set refractory=5]

A table's best networks were chosen by their test results, so that a mean of them is too good. Here
every saved network of a row's shape that was tested on 10,000 images has its counterpart: trained
once from a seed of its own with the parameters and the number of presentations of the file, tested
on 10,000 images. Printed are both accuracies by all_voting, and the mean of their differences with
its standard error: 0 where both programs learn alike. A repeated command goes on where it stopped.

The columns of the CSV are network_type, n_filters, kernel_size, c_l, train_method, mean_weight,
c_w, A_pos, A_neg, tau_pos, tau_neg, weight_decay, n_iter, acc_all_voting, ntest_patch_voting.
"""

import argparse
import csv
import logging
from pathlib import Path

import numpy as np
from spiking_accuracy import change  # its folder is this script's

from jaxbio.reproduce.spiking import NETWORKS, configured

_KEYS = {
    "mean_weight": "mean_weight",
    "c_w": "c_w",
    "A_pos": "a_pos",
    "A_neg": "a_neg",
    "tau_pos": "tau_pos",
    "tau_neg": "tau_neg",
    "weight_decay": "weight_decay",
}
_STEP = 1000  # a run trains a multiple of it
_CLAMPS = {"c_w_min": ("", "-inf"), "c_w_max": ("",)}  # of a network that has none


def counterparts(table: Path, shape) -> list[dict[str, str]]:
    """The lines of the CSV that have the shape and can be compared."""
    with table.open(newline="") as file:
        return [
            line
            for line in csv.DictReader(file)
            if line["network_type"] == f"{shape.kind}_snn".upper()
            and int(line["n_filters"]) == shape.filters
            and line["kernel_size"] == str(shape.kernel)
            and (line["c_l"] == "True") == shape.trained_competition
            and line["train_method"] == "basic"
            and line["series"] != "earlier"  # the same networks again
            and line["acc_all_voting"]
            and line["ntest_patch_voting"] == "10000"
            and int(line["n_iter"]) % _STEP == 0
            and all(line[key] in none for key, none in _CLAMPS.items())
        ]


def accuracy(name: str, line: dict[str, str], seed: int, changes: list[str], runs: Path) -> float:
    """Trains and tests a network with the line's parameters."""
    from jaxbio.tasks.loop import train

    config = configured(name)
    config.seed = seed
    config.spiking.train_images = int(line["n_iter"])
    config.spiking.update({ours: float(line[key]) for key, ours in _KEYS.items() if line[key]})
    change(config, changes)
    results = train(config, str(runs / "-".join([name, "scan", str(seed), *changes])))
    if results is None:
        raise SystemExit("stopped: repeat the command")
    return results["readouts"]["all_voting"]["accuracy"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="the CSV of published networks")
    parser.add_argument("row", choices=NETWORKS, help="whose shape and configuration are taken")
    parser.add_argument("--set", action="append", default=[], help="KEY=VALUE of config.spiking")
    parser.add_argument("--every", type=int, default=1, help="of the networks, by accuracy")
    parser.add_argument("--runs", type=Path, default=Path("runs/spiking"))
    options = parser.parse_args()
    if options.every < 1:
        parser.error(f"--every={options.every}: use 1 or more")
    logging.getLogger("absl").setLevel(logging.ERROR)  # Orbax warns of its own defaults
    try:
        lines = counterparts(options.table, configured(options.row).spiking)
    except OSError as error:
        parser.error(f"{options.table}: {error.strerror}")
    except (KeyError, ValueError) as error:
        parser.error(f"{options.table} is no table of published networks ({error})")
    lines.sort(key=lambda line: float(line["acc_all_voting"]))
    if len(lines) < 2:
        parser.error(f"{options.table} has {len(lines)} networks of the shape of {options.row}")
    found = []
    for seed in range(0, len(lines), options.every):
        line = lines[seed]
        ours = accuracy(options.row, line, seed, options.set, options.runs)
        found.append((float(line["acc_all_voting"]), ours))
        numbers = " ".join(f"{key}={line[key]}" for key in ("n_iter", *_KEYS) if line[key])
        print(f"{100 * found[-1][0]:.1f} {100 * ours:.1f}  {numbers}", flush=True)
    published, ours = 100 * np.array(found).T
    apart = ours - published
    error = apart.std(ddof=1) / np.sqrt(len(apart))
    print(
        f"{len(apart)} networks: published {published.mean():.2f}, ours {ours.mean():.2f} %, "
        f"difference {apart.mean():+.2f} +- {error:.2f}, "
        f"correlation {np.corrcoef(published, ours)[0, 1]:.2f}"
    )


if __name__ == "__main__":
    main()

"""What the front-end buys or costs: clean accuracy and errors under corruptions, several seeds.

    python benchmarks/front_end_robustness.py --variant=digits
    python benchmarks/front_end_robustness.py --variant=mnist --steps=600 --severities=3 \
      --corruptions=gaussian_noise,glass_blur,snow,contrast,pixelate

Trains configs/svp_resnet.py with the front-end and without, at the same budget, evaluates each on
the benchmark's corruptions, and prints a table: mean and standard deviation over seeds. What a run
directory already holds is not computed again, so an interrupted comparison goes on.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_NETWORKS = {"svp front-end": "svp", "plain": "none"}


def measure(front_end: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Trains and evaluates one network; the scores of ``robustness.json``."""
    filters = "_v2" if options.v2_weights and front_end == "svp" else ""
    run = Path(options.runs).absolute() / f"{options.variant}_{front_end}{filters}_{seed}"
    common = [
        f"--config=configs/svp_resnet.py:{options.variant}",
        f"--config.model.front_end={front_end}",
        f"--config.seed={seed}",
        f"--workdir={run}",
    ]
    if options.v2_weights and front_end == "svp":
        common.append(f"--config.model.v2_weights={options.v2_weights}")
    if options.steps:
        common.append(f"--config.train.total_steps={options.steps}")
    robustness = [
        "--mode=robustness", "--checkpoint=last", f"--corruptions={options.corruptions}",
        f"--severities={options.severities}",
    ]  # fmt: skip
    for command in (["train.py", *common], ["evaluate.py", *common, *robustness]):
        with (run.parent / f"{run.name}.log").open("a") as log:
            subprocess.run(
                [sys.executable, *command], cwd=_ROOT, check=True, stdout=log, stderr=log
            )
    return json.loads((run / "evaluation" / "robustness.json").read_text())["scores"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="digits")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="0: the configuration's budget")
    parser.add_argument("--corruptions", default="benchmark")
    parser.add_argument("--severities", default="all")
    parser.add_argument("--v2_weights", default="", help="a .pth; default: the seeded stand-in")
    parser.add_argument("--runs", default="runs/front_end_robustness")
    options = parser.parse_args()
    Path(options.runs).mkdir(parents=True, exist_ok=True)
    scores = {label: [] for label in _NETWORKS}
    for seed in range(options.seeds):
        for label, front_end in _NETWORKS.items():
            scores[label].append(measure(front_end, seed, options))
            last = scores[label][-1]
            print(
                f"{label}, seed {seed}: clean {100 * last['clean_error']:.2f} %, "
                f"corrupted {100 * last['mean_error']:.2f} %",
                flush=True,
            )

    rows = {
        "clean": [[s["clean_error"] for s in scores[label]] for label in _NETWORKS],
        **{
            name: [[s["corruptions"][name]["mean_error"] for s in scores[n]] for n in _NETWORKS]
            for name in scores["plain"][0]["corruptions"]
        },
        "mean of corruptions": [[s["mean_error"] for s in scores[label]] for label in _NETWORKS],
    }
    print(f"\n| top-1 error %, {options.variant} | {' | '.join(_NETWORKS)} |\n|---|---|---|")
    for name, columns in rows.items():
        cells = (
            f"{100 * statistics.mean(c):.2f} +- {100 * statistics.stdev(c):.2f}" for c in columns
        )
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

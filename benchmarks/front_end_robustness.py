"""What a front-end buys or costs: clean accuracy, corruptions and white-box attacks, several seeds.

    python benchmarks/front_end_robustness.py --variant=digits
    python benchmarks/front_end_robustness.py --variant=mnist --severities=3 \
      --corruptions=gaussian_noise,glass_blur,snow,contrast,pixelate train.total_steps=600
    python benchmarks/front_end_robustness.py --variant=cifar10 --networks=plain,svp,vone \
      --v1=visual_degrees=8,sf_max=2 --corruptions= --epsilons=1/1020,1/510,1/255,2/255 \
      train.total_epochs=16

Trains configs/svp_resnet.py with each front-end at the same budget, evaluates it on the benchmark's
corruptions, attacks it with PGD-20 (L-infinity; gradients over 8 samples of the noise), and prints
a table: mean and standard deviation over seeds. `vone` has noise in training, in testing and under
attack, `vone_quiet` is the same networks with the noise off but in training, `vone_noiseless` never
had any. What a run directory already holds is not computed again, so an interrupted comparison goes
on.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_VONE = ["model.front_end=vone"]
_NETWORKS: dict[str, tuple[str, list[str], list[str]]] = {  # run, in training, in testing too
    "plain": ("plain", ["model.front_end=none"], []),
    "svp": ("svp", ["model.front_end=svp"], []),
    "vone": ("vone", _VONE, ["model.v1.noise_at_eval=True"]),
    "vone_quiet": ("vone", _VONE, []),
    "vone_noiseless": ("vone_noiseless", [*_VONE, "model.v1.noise_mode=none"], []),
}


def measure(network: str, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Trains and tests one network: errors by name of the test."""
    trained, training, testing = _NETWORKS[network]
    changes = [f"seed={seed}", *training, *options.changes]
    if trained != "plain":
        changes += [f"model.v1.{change}" for change in options.v1.split(",") if change]
    filters = bool(options.v2_weights) and trained == "svp"
    if filters:
        changes.append(f"model.v2_weights={options.v2_weights}")
    run = options.runs.absolute() / f"{options.variant}_{trained}{'_v2' * filters}_{seed}"
    common = [f"--config=configs/svp_resnet.py:{options.variant}", f"--workdir={run}"]
    common += [f"--config.{change}" for change in changes]
    tested = [*common, "--checkpoint=last", *(f"--config.{change}" for change in testing)]

    def call(*words: str) -> None:
        with (run.parent / f"{run.name}.log").open("a") as log:
            command = [sys.executable, *words]
            subprocess.run(command, cwd=_ROOT, check=True, stdout=log, stderr=log)

    call("train.py", *common)
    errors = {}
    if options.corruptions:
        words = f"--corruptions={options.corruptions}", f"--severities={options.severities}"
        call("evaluate.py", *tested, "--mode=robustness", *words)
        scores = json.loads((run / "evaluation" / "robustness.json").read_text())["scores"]
        errors["clean"] = scores["clean_error"]
        errors |= {name: kind["mean_error"] for name, kind in scores["corruptions"].items()}
        errors["mean of corruptions"] = scores["mean_error"]
    if options.epsilons:
        radii = options.epsilons.replace("/", "-")
        kept = run / f"attacks_{network}_{options.count}_{radii}.json"
        if not kept.exists():
            words = f"--epsilon={options.epsilons}", f"--count={options.count}", "--samples=8"
            attack = "--mode=attacks", "--preset=pgd20", "--no_controls"  # these cost several times
            call("evaluate.py", *tested, *attack, *words)
            shutil.copyfile(run / "evaluation" / "attacks_pgd20.json", kept)
        errors |= _attack_errors(json.loads(kept.read_text()))
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="digits")
    parser.add_argument("--networks", default="svp,plain")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--corruptions", default="benchmark", help="empty: none")
    parser.add_argument("--severities", default="all")
    parser.add_argument("--epsilons", default="", help="of the attack; empty: none")
    parser.add_argument("--count", type=int, default=1000, help="images that are attacked")
    parser.add_argument("--v1", default="", help="KEY=VALUE,... of the front-ends' model.v1")
    parser.add_argument("--v2_weights", default="", help="a .pth; default: the seeded stand-in")
    parser.add_argument("--jobs", type=int, default=1, help="networks at once")
    parser.add_argument("--runs", type=Path, default=Path("runs/front_end_robustness"))
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="of every configuration")
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    networks = options.networks.split(",")
    if unknown := set(networks) - _NETWORKS.keys():
        parser.error(f"--networks={','.join(unknown)}: use some of {', '.join(_NETWORKS)}")
    errors: dict[str, list[dict[str, float]]] = {network: [] for network in networks}

    def of_run(turn: tuple[str, int]) -> None:  # those that share a run, one after the other
        for network in networks:
            if _NETWORKS[network][0] == turn[0]:
                found = measure(network, turn[1], options)
                errors[network].append(found)
                told = ", ".join(f"{name} {100 * error:.2f} %" for name, error in found.items())
                print(f"{network}, seed {turn[1]}: {told}", flush=True)

    trained = dict.fromkeys(_NETWORKS[network][0] for network in networks)
    turns = [(network, seed) for seed in range(options.seeds) for network in trained]
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(of_run, turns))
    print(f"\n| top-1 error %, {options.variant} | {' | '.join(networks)} |")
    print("|---" * (1 + len(networks)) + "|")
    for name in errors[networks[0]][0]:
        columns = ([found[name] for found in errors[network]] for network in networks)
        print(f"| {name} | {' | '.join(_spread(column) for column in columns)} |")


def _attack_errors(found: dict) -> dict[str, float]:
    errors = {f"clean, {found['images']} images": 1 - found["clean"]["accuracy"]}
    curve = found["accuracy_under_attack"]["linf"]
    return errors | {f"L-inf {radius}": 1 - point["accuracy"] for radius, point in curve.items()}


def _spread(column: list[float]) -> str:
    deviation = statistics.stdev(column) if len(column) > 1 else float("nan")
    return f"{100 * statistics.mean(column):.2f} +- {100 * deviation:.2f}"


if __name__ == "__main__":
    main()

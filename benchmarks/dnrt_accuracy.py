"""Three activations with and without ARR on real data, several seeds, one budget: a table.

    python benchmarks/dnrt_accuracy.py --data digits --output runs/dnrt_accuracy
    python benchmarks/dnrt_accuracy.py --data mnist --output runs/dnrt_accuracy
    python benchmarks/dnrt_accuracy.py --data cifar10 --network resnet --output runs/dnrt_accuracy

Every cell is a run of configs/dnrt_vit.py's recipe (or dnrt_resnet.py's) that differs in its
activation and in ARR alone. On CIFAR-10 it is the recipe of the small sets, not the published 300
epochs. Runs that have finished are not repeated, an interrupted one goes on. MNIST and CIFAR-10
need JAXBIO_DATA_DIR.
"""

import argparse
import statistics
from pathlib import Path

from ml_collections import ConfigDict

from jaxbio.configs import base, datasets, dnrt, dnrt_resnet, dnrt_vit
from jaxbio.errors import InputError
from jaxbio.tasks.loop import train

ACTIVATIONS = ("relu", "gelu", "raa")
STEPS = {"digits": 900, "mnist": 400, "cifar10": 800}
RECIPES = {"vit": dnrt_vit, "resnet": dnrt_resnet}


def experiment(
    data: str, network: str, activation: str, arr: bool, seed: int, steps: int
) -> ConfigDict:
    """One run: the same everything, but activation, ARR and seed."""
    config = RECIPES[network].get_config("mnist" if data == "cifar10" else data)
    if data == "cifar10":
        pictures = datasets.apply_dataset(base.get_config(), data).data
        for key in ("source", "augmentation", "crop_scale", "flip"):
            config.data[key] = pictures[key]
        config.train.batch_size = 64
    config.model.activation = activation
    config.arr.coefficient = dnrt.ARR_COEFFICIENTS[data] if arr else 0.0
    config.seed = seed
    config.train.total_steps = steps
    config.schedule.warmup_steps = steps // 15
    config.eval.every_epochs = config.checkpoint.every_epochs = 0.0  # at the end alone
    config.log.tensorboard = False
    return config


def cell(values: list[float]) -> str:
    """Mean and standard deviation over the seeds, in per cent."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.2f} ± {100 * spread:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=tuple(STEPS), default="digits")
    parser.add_argument("--network", choices=tuple(RECIPES), default="vit")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, help=f"of training; default: {STEPS}")
    parser.add_argument("--output", default="runs/dnrt_accuracy", help="folder of the runs")
    parser.add_argument("--only", choices=ACTIVATIONS, help="one activation instead of all")
    args = parser.parse_args()
    steps = args.steps or STEPS[args.data]
    rows = []
    for activation in (args.only,) if args.only else ACTIVATIONS:
        for arr in (False, True):
            results = []
            for seed in range(args.seeds):
                name = f"{args.data}_{args.network}_{activation}{'_arr' if arr else ''}_{seed}"
                config = experiment(args.data, args.network, activation, arr, seed, steps)
                result = train(config, str(Path(args.output) / name))
                if result is None:
                    raise SystemExit("stopped: repeat the command to go on")
                results.append(result)
            top1, loss = ([r[key] for r in results] for key in ("top1", "loss"))
            mean_loss = f"{statistics.mean(loss):.4f}"
            rows.append(f"| {activation} | {'yes' if arr else 'no'} | {cell(top1)} | {mean_loss} |")
    images = steps * config.train.batch_size
    print(f"\n{args.data}, {args.network}: {images} images seen in training, {args.seeds} seeds,")
    print("test top-1 in % (mean ± standard deviation over seeds) and mean test loss\n")
    print("| activation | ARR | top-1 | loss |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"dnrt_accuracy.py: {error}") from None

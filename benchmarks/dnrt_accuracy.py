"""Three activations with and without ARR on real data, several seeds, one budget: a table.

    python benchmarks/dnrt_accuracy.py --data digits --output runs/dnrt_accuracy
    python benchmarks/dnrt_accuracy.py --data mnist --output runs/dnrt_accuracy

Every cell is a run of configs/dnrt_vit.py's recipe that differs in its activation and in ARR alone.
Runs that have finished are not repeated, an interrupted one goes on. MNIST needs JAXBIO_DATA_DIR.
"""

import argparse
import statistics
from pathlib import Path

from ml_collections import ConfigDict

from configs import dnrt, dnrt_vit
from jaxbio.tasks.loop import train

ACTIVATIONS = ("relu", "gelu", "raa")
STEPS = {"digits": 900, "mnist": 400}


def experiment(data: str, activation: str, arr: bool, seed: int) -> ConfigDict:
    """One run: the same everything, but activation, ARR and seed."""
    config = dnrt_vit.get_config(data)
    config.model.activation = activation
    config.arr.coefficient = dnrt.ARR_COEFFICIENTS[data] if arr else 0.0
    config.seed = seed
    config.train.total_steps = STEPS[data]
    config.schedule.warmup_steps = STEPS[data] // 15
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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", default="runs/dnrt_accuracy", help="folder of the runs")
    parser.add_argument("--only", choices=ACTIVATIONS, help="one activation instead of all")
    args = parser.parse_args()
    rows = []
    for activation in (args.only,) if args.only else ACTIVATIONS:
        for arr in (False, True):
            results = []
            for seed in range(args.seeds):
                name = f"{args.data}_{activation}{'_arr' if arr else ''}_{seed}"
                workdir = Path(args.output) / name
                result = train(experiment(args.data, activation, arr, seed), str(workdir))
                if result is None:
                    raise SystemExit("stopped: repeat the command to go on")
                results.append(result)
            top1, loss = ([r[key] for r in results] for key in ("top1", "loss"))
            mean_loss = f"{statistics.mean(loss):.4f}"
            rows.append(f"| {activation} | {'yes' if arr else 'no'} | {cell(top1)} | {mean_loss} |")
    images = STEPS[args.data] * experiment(args.data, "relu", False, 0).train.batch_size
    print(f"\n{args.data}: {images} images seen in training, {args.seeds} seeds, ", end="")
    print("test top-1 in % (mean ± standard deviation over seeds) and mean test loss\n")
    print("| activation | ARR | top-1 | loss |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()

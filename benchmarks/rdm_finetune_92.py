"""Fine-tuning on the 92 images of Kriegeskorte et al. 2008: human IT, held-out images, seeds.

python benchmarks/rdm_finetune_92.py --output=runs/rdm_92 --seeds=5 [--student=runs/NAME]

Every seed draws its own held-out quarter of the images, its own initial weights (without
--student) and its own batches. Runs are resumable; JAXBIO_DATA_DIR holds kriegeskorte2008_92.npz.
Printed: Spearman's rho of student and mean human IT on held-out images before and after, the same
for training images, and the noise ceiling of the held-out RDMs from the four subjects.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from configs import rdm_finetune
from jaxbio.files import write_json
from jaxbio.neural import open_recordings
from jaxbio.runs.progress import format_table
from jaxbio.similarity import rsa_noise_ceiling, upper
from jaxbio.tasks.loop import train
from jaxbio.tasks.rdm.data import split_images


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--student", default="", help="run directory; default: random weights")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--layer", default="penultimate")
    options = parser.parse_args()
    data = Path(os.environ.get("JAXBIO_DATA_DIR", ".")) / "kriegeskorte2008_92.npz"
    human = open_recordings(data, region="human_it")

    rows = []
    for seed in range(options.seeds):
        config = rdm_finetune.get_config("kriegeskorte")
        config.seed = config.rdm.split_seed = seed
        config.rdm.neural = str(data)
        config.rdm.student = options.student
        config.rdm.layer = options.layer
        config.train.total_steps = options.steps
        config.eval.every_steps = config.checkpoint.every_steps = max(1, options.steps // 4)
        config.optimizer.learning_rate = options.learning_rate
        config.log.tensorboard = False
        results = train(config, str(options.output / f"seed_{seed}"))
        if results is None:
            return
        held_out = split_images(human.stimuli, config.rdm.held_out, seed).test
        part = human.select(stimuli=held_out).rdms["human_it"]
        ceiling = rsa_noise_ceiling(upper(part), "spearman")
        rows.append({**results, "low": float(ceiling.lower), "high": float(ceiling.upper)})

    keys = ("similarity_before", "similarity", "similarity_train_before", "similarity_train")
    table = [("seed", "held-out before", "after", "training before", "after", "noise ceiling")]
    for seed, row in enumerate(rows):
        scores = [f"{row[key]:.3f}" for key in keys]
        table.append((str(seed), *scores, f"{row['low']:.3f} to {row['high']:.3f}"))
    values = np.array([[row[key] for key in keys] for row in rows])
    spread = values.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(keys))
    means = [f"{m:.3f} +- {s:.3f}" for m, s in zip(values.mean(axis=0), spread, strict=True)]
    table.append(("mean", *means, ""))
    gain = values[:, 1] - values[:, 0]
    error = gain.std(ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else float("nan")
    print(f"\n{format_table(table)}\n")
    print(f"gain on held-out images: {gain.mean():+.3f} +- {error:.3f} (standard error over seeds)")
    asked = {name: str(value) for name, value in vars(options).items()}
    write_json(options.output / "seeds.json", {"options": asked, "runs": rows})


if __name__ == "__main__":
    main()

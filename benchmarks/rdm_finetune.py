"""What a network gains from learning human RDMs, against controls.

python benchmarks/rdm_finetune.py --neural=kriegeskorte2008_92.npz --region=human_it
  --student=runs/squeezenet1_0 --output=runs/rdm_92 [--seeds=10] [--people=5] [--rates=1e-5,1e-4]
With --teacher=RUN --teacher_layer=NAME the RDM is that of a network's layer, of the same images.

Every seed draws its own held-out and validation images (and people) and its own batches. A run is
stopped where its validation images say, the step before any training included. Conditions:

- trained: all parameters learn the RDM; part: only the modules that --part leaves;
- shuffled, part_shuffled: the same learn the same RDM with its conditions in another order;
- readout: only the classifier learns, and its logits are scored (before: the same logits).

The learning rate of each condition is the one with the best mean of the validation images. Printed:
the mean gain on held-out images with its interval over seeds (Student's t). Runs are resumable.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t

from jaxbio.configs import rdm_finetune
from jaxbio.errors import InputError
from jaxbio.files import write_json
from jaxbio.runs.directory import RunDirectory
from jaxbio.runs.metrics_file import read_metrics
from jaxbio.runs.progress import format_table
from jaxbio.tasks.loop import train


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--neural", required=True)
    parser.add_argument("--region", required=True)
    parser.add_argument("--student", required=True, help="run or converted weights")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--people", type=int, default=0, help="held out; 0: none")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rates", default="1e-5,1e-4")
    parser.add_argument("--l2_sp", type=float, default=0.01)
    parser.add_argument("--layer", default="penultimate")
    parser.add_argument("--part", default="", help="rdm.freeze of the condition 'part'")
    parser.add_argument("--teacher", default="", help="a run in place of the recordings")
    parser.add_argument("--teacher_layer", default="")
    parser.add_argument("--only", default="", help="conditions, with commas; all by default")
    options = parser.parse_args()
    conditions = {
        "trained": {},
        "shuffled": {"rdm.shuffled": True},
        "readout": {"rdm.freeze": "backbone", "rdm.layer": "logits"},
    }
    if options.part:
        conditions["part"] = {"rdm.freeze": options.part}
        conditions["part_shuffled"] = {"rdm.freeze": options.part, "rdm.shuffled": True}
    only = options.only.split(",") if options.only else list(conditions)
    if unknown := set(only) - set(conditions):
        parser.error(f"--only={','.join(sorted(unknown))}: there are {', '.join(conditions)}")

    table = [("condition", "rate", "before", "after", "gain [95 %]", "stopped at 0")]
    found = {}
    for name in only:
        changes = conditions[name]
        by_rate = {
            rate: [_run(options, name, changes, rate, seed) for seed in range(options.seeds)]
            for rate in options.rates.split(",")
        }
        rate = max(by_rate, key=lambda r: np.mean([run["validation"] for run in by_rate[r]]))
        runs = by_rate[rate]
        gains = np.array([run["after"] - run["before"] for run in runs])
        half = student_t.ppf(0.975, len(gains) - 1) * gains.std(ddof=1) / len(gains) ** 0.5
        table.append(
            (
                name,
                rate,
                f"{np.mean([run['before'] for run in runs]):.3f}",
                f"{np.mean([run['after'] for run in runs]):.3f}",
                f"{gains.mean():+.4f} [{gains.mean() - half:+.4f}, {gains.mean() + half:+.4f}]",
                f"{sum(run['step'] == 0 for run in runs)} of {len(runs)}",
            )
        )
        found[name] = by_rate
        asked = {key: str(value) for key, value in vars(options).items()}
        write_json(options.output / "gains.json", {"options": asked, "runs": found})
        print(f"\n{format_table(table)}\n", flush=True)


def _run(options, name, changes, rate, seed):
    """One run, stopped where its validation images are served best."""
    config = rdm_finetune.get_config("kriegeskorte")
    config.seed = config.rdm.split_seed = seed
    config.rdm.neural, config.rdm.region = options.neural, options.region
    config.rdm.student, config.rdm.layer = options.student, options.layer
    config.rdm.held_out_people = options.people
    config.rdm.teacher, config.rdm.teacher_layer = options.teacher, options.teacher_layer
    config.rdm.validation, config.rdm.l2_sp = 0.3, options.l2_sp
    config.train.total_steps = options.steps
    config.eval.every_steps = config.checkpoint.every_steps = max(1, options.steps // 5)
    config.checkpoint.keep_last = 1
    config.optimizer.learning_rate = float(rate)
    config.log.tensorboard = False
    config.update_from_flattened_dict(changes)
    path = options.output / f"{name}_{rate}_{seed}"
    results = train(config, str(path))
    if results is None:
        raise SystemExit("stopped: repeat the command to go on")
    key = "similarity_validation"
    before = {"step": 0, key: results[f"{key}_before"], "similarity": results["similarity_before"]}
    tests = [before, *read_metrics(RunDirectory(path).metrics_file, key)]
    best = max(tests, key=lambda test: test[key])
    return {
        "step": best["step"],
        "validation": best[key],
        "before": before["similarity"],
        "after": best["similarity"],
        "last": results["similarity"],
    }


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        raise SystemExit(f"rdm_finetune.py: {error}") from None

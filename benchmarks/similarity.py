"""Times ``jaxbio.similarity`` against the published procedures, side by side in one process.

    python benchmarks/similarity.py                         # sit, pls and rsa
    python benchmarks/similarity.py --measures=sit --repeats=5
    python benchmarks/similarity.py --peer_share=0          # ours only, as on a GPU

Peers: SIT is the published loop in NumPy and SciPy; PLS is scikit-learn's ``PLSRegression`` on
each split; RSA is ``rsatoolbox`` where it is installed (``pip install rsatoolbox``), otherwise a
NumPy and SciPy loop of the same steps, and the output says which. Peers repeat the same work
(splits, bootstrap samples) many times over, so a share of it is timed, in turn with ours, and the
whole is extrapolated: medians of ``--repeats`` turns. Equality of scores is printed along. Noise
ceilings of RSA are computed on all data, not per sample, by both sides.
"""

import argparse
import importlib.metadata
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from scipy import stats

from jaxbio import similarity as sim

SPLITS, OBJECTS, PER_OBJECT, FEATURES, SITES = 100, 49, 40, 4096, 168
CONDITIONS, LAYERS, SUBJECTS, SAMPLES = 92, 16, 4, 1000


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features, responses and objects that share a low-dimensional signal; float32."""
    rng = np.random.default_rng(0)
    objects = np.repeat(np.arange(OBJECTS), PER_OBJECT)
    signal = rng.normal(size=(OBJECTS, 40))[objects] + rng.normal(size=(len(objects), 40))
    features = signal @ rng.normal(size=(40, FEATURES)) + 4 * rng.normal(size=(1960, FEATURES))
    responses = signal @ rng.normal(size=(40, SITES)) + 4 * rng.normal(size=(1960, SITES))
    return features.astype(np.float32), responses.astype(np.float32), objects


def clock(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - start


def published_sit(model, neural, objects, n_splits: int) -> list[float]:
    """The published loop: images, noise, means, RDMs and Spearman's rho per split."""
    rng = np.random.default_rng(0)
    a, b, t = 0.14, 0.92, 47
    upper = np.triu_indices(OBJECTS, 1)
    scores = []
    for _ in range(n_splits):
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(objects == k), 8, replace=False) for k in range(OBJECTS)]
        )
        x, y = model[rows], neural[rows]
        noise = np.mean((a * y + b) ** 2) / t
        x = x * np.sqrt((np.var(y) - noise) / np.var(x))
        x = x + (a * x + b) * rng.standard_normal(x.shape) / np.sqrt(t)
        rdms = (1 - np.corrcoef(z.reshape(OBJECTS, 8, -1).mean(1))[upper] for z in (x, y))
        scores.append(stats.spearmanr(*rdms).statistic)
    return scores


def run_sit(features, responses, objects, share: float):
    on_device = jax.device_put(features), jax.device_put(responses)
    found = {}

    def ours():
        found["ours"] = sim.sit(*on_device, objects, jax.random.key(0), n_splits=SPLITS)
        return found["ours"].scores

    part = max(1, round(SPLITS * share))

    def peer():
        found["peer"] = published_sit(features, responses, objects, part)

    def agreement():
        return f"SIT {float(found['ours'].mean):.4f} and {np.mean(found['peer']):.4f}"

    return ours, peer, SPLITS / part, agreement, "NumPy/SciPy"


def run_pls(features, responses, objects, share: float):
    from sklearn.cross_decomposition import PLSRegression

    on_device = jax.device_put(features), jax.device_put(responses)
    splits = sim.stratified_splits(objects)
    found = {}

    def ours():
        found["ours"] = sim.predictivity(*on_device, splits=splits)
        return found["ours"].per_neuroid

    def peer():
        train, test = splits.train[0], splits.test[0]
        model = PLSRegression(25, scale=False).fit(features[train], responses[train])
        predicted = model.predict(features[test])
        found["peer"] = np.array(
            [stats.pearsonr(predicted[:, i], responses[test, i])[0] for i in range(SITES)]
        )

    def agreement():
        ours = np.asarray(found["ours"].per_neuroid[0])
        return (
            f"first split: median r {np.median(ours):.5f} and {np.median(found['peer']):.5f}, "
            f"largest difference of a site {np.abs(ours - found['peer']).max():.1e}"
        )

    return ours, peer, float(len(splits.train)), agreement, "scikit-learn"


def run_rsa(share: float):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(CONDITIONS, 30))

    def rdms(number, noise):
        patterns = truth[None] + noise * rng.normal(size=(number, CONDITIONS, 30))
        return np.asarray(sim.upper(sim.rdm(patterns.astype(np.float32))))

    models, subjects = rdms(LAYERS, 2.0), rdms(SUBJECTS, 1.5)
    found = {}

    def ours():
        found["ours"] = sim.evaluate_bootstrap(
            models, subjects, jax.random.key(0), over="both", n_bootstrap=SAMPLES
        )

    part = max(2, round(SAMPLES * share))
    try:
        import rsatoolbox
    except ImportError:
        name = "NumPy/SciPy loop, rsatoolbox is not installed"

        def peer():
            found["peer"] = numpy_bootstrap(models, subjects, part)

    else:
        name = f"rsatoolbox {importlib.metadata.version('rsatoolbox')}"
        fixed = [
            rsatoolbox.model.ModelFixed(str(i), row.astype(float)) for i, row in enumerate(models)
        ]
        wrapped = rsatoolbox.rdm.RDMs(subjects.astype(float))

        def peer():
            result = rsatoolbox.inference.eval_bootstrap(
                fixed, wrapped, method="spearman", N=part, boot_noise_ceil=False
            )
            found["peer"] = result.evaluations.reshape(-1, LAYERS)

    def agreement():
        ours, peer = (np.nanmean(x, 0) for x in (found["ours"].samples, found["peer"]))
        return f"mean rho of the first layer {ours[0]:.3f} and {peer[0]:.3f}"

    return ours, peer, SAMPLES / part, agreement, name


def numpy_bootstrap(models, subjects, samples: int) -> np.ndarray:
    """Scores of resampled conditions and subjects, one sample at a time."""
    rng = np.random.default_rng(0)
    square_models, square_subjects = (
        np.asarray(sim.square(models)),
        np.asarray(sim.square(subjects)),
    )
    upper = np.triu_indices(CONDITIONS, 1)
    scores = []
    for _ in range(samples):
        drawn = rng.integers(0, CONDITIONS, CONDITIONS)
        people = rng.integers(0, SUBJECTS, SUBJECTS)
        kept = drawn[upper[0]] != drawn[upper[1]]
        row, column = drawn[upper[0]][kept], drawn[upper[1]][kept]
        chosen = square_subjects[people][:, row, column]
        each = [
            [stats.spearmanr(model, subject).statistic for subject in chosen]
            for model in square_models[:, row, column]
        ]
        scores.append(np.mean(each, 1))
    return np.array(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measures", default="sit,pls,rsa")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer_share", type=float, default=0.1, help="0: ours only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    names = options.measures.split(",")
    share = options.peer_share
    arrays = data() if {"sit", "pls"} & set(names) else ()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}")
    rows = []
    for name in names:
        made = (
            run_rsa(share)
            if name == "rsa"
            else {"sit": run_sit, "pls": run_pls}[name](*arrays, share)
        )
        ours, peer, factor, agreement, peer_name = made
        compile_s = clock(ours)
        times = {"ours": [], "peer": []}
        for _ in range(options.repeats):
            times["ours"].append(clock(ours))
            if share:
                times["peer"].append(clock(peer) * factor)
        row = {"measure": name, "compile_s": compile_s, "ours_s": statistics.median(times["ours"])}
        line = f"{name}: {row['ours_s']:.3f} s (first call {compile_s:.1f} s)"
        if share:
            row |= {"peer": peer_name, "peer_s": statistics.median(times["peer"])}
            row["ratio"] = row["peer_s"] / row["ours_s"]
            line += f", {peer_name} {row['peer_s']:.1f} s, ratio {row['ratio']:.1f}; {agreement()}"
        print(line, flush=True)
        rows.append(row)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()

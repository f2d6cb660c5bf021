"""The same small programs in two trees of this repository, in turns: what a change cost or saved.

    git worktree add ../before REVISION
    python benchmarks/before_after.py ../before . [--rounds=3] [--only=networks,spiking]

Networks (forward pass and gradient), spiking networks (learning and inference), RDMs and their
comparison, corruptions, features (JPEGs to HDF5): what both trees have. Each round starts a process
for every tree and part, so that a busy machine slows both, and the tree that goes first changes.
Printed are the medians over the rounds of each process's median call, in milliseconds, and their
ratio. A copy of the same tree as BEFORE shows how much is noise.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

_CALLS = 9


def networks() -> Iterator[tuple[str, Callable]]:
    for name, size, options in (
        ("resnet18", 64, {}),
        ("cornet_s", 64, {}),
        ("densenet121", 64, {}),
        ("vit_tiny_patch4_32", 32, {}),
        ("resnet18", 64, {"front_end": "svp"}),
    ):
        label = " ".join([options.get("front_end", ""), name]).strip()
        forward, gradient = _passes(name, size, options)
        yield f"{label}, forward", forward
        yield f"{label}, gradient", gradient


def _passes(name: str, size: int, options: dict[str, str]) -> tuple[Callable, Callable]:
    from jaxbio.models import create_model

    model = create_model(name, num_classes=10, image_size=size, **options)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(16, size, size, 3)), jnp.float32)
    key = jax.random.key(0)
    rngs = {"noise": key, "dropout": key, "drop_path": key}
    variables = jax.jit(model.init)({"params": key, **rngs}, x)
    rest = {k: v for k, v in variables.items() if k != "params"}

    def loss(params, rest, x):
        variables = {"params": params, **rest}
        return model.apply(variables, x, True, rngs=rngs, mutable=["batch_stats"])[0][0].sum()

    forward = jax.jit(lambda variables, x: model.apply(variables, x, False, rngs=rngs)[0])
    gradient = jax.jit(jax.grad(loss))
    return partial(forward, variables, x), partial(gradient, variables["params"], rest, x)


def similarity() -> Iterator[tuple[str, Callable]]:
    from jaxbio import similarity

    rng = np.random.default_rng(0)
    features = rng.normal(size=(392, 4096)).astype(np.float32)
    neurons = rng.normal(size=(392, 100)).astype(np.float32)
    rdms = rng.random((20, 92 * 91 // 2)).astype(np.float32)  # upper triangles
    yield "RDM, 392 images x 4,096 units", lambda: similarity.rdm(features)
    yield "20 RDMs of 92, Spearman", lambda: similarity.compare(rdms, rdms, "spearman")
    yield "CKA, 4,096 units, 100 neurons", lambda: similarity.cka(features, neurons)


def corruptions() -> Iterator[tuple[str, Callable]]:
    from jaxbio.corruptions import corrupt, corruption_names

    pictures = np.random.default_rng(0).integers(0, 256, (8, 224, 224, 3), np.uint8)
    for name in corruption_names("all"):
        yield name, lambda name=name: corrupt(pictures, name, 3, jax.random.key(0))


PARTS = {"networks": networks, "similarity": similarity, "corruptions": corruptions}
# Benchmarks that each tree has for its own seams, and where they print images per second.
_LC = ("--filters=25", "--source=digits")
_FEATURES = ("benchmarks/features.py", "--images=192", "--repeats=1", "--models")
OWN = {
    "spiking": {
        "LC 25, learning, per picture": (
            ("benchmarks/spiking.py", "learning", "--images=200", "--warm=200", *_LC),
            r"(\d+) images/s",
        ),
        "LC 25, inference, per picture": (
            ("benchmarks/spiking.py", "inference", "--images=1024", *_LC),
            r"(\d+) images/s",
        ),
    },
    "features": {
        f"{name}, features, per picture": ((*_FEATURES, name), rf"{name} +[\d.]+ +([\d.]+) ")
        for name in ("cornet_z", "cornet_rt")
    },
}


def measure(part: str) -> dict[str, float]:
    """Median milliseconds of every program of a part, the first call left out."""
    found = {}
    for name, call in PARTS[part]():
        jax.block_until_ready(call())
        times = []
        for _ in range(_CALLS):
            start = time.perf_counter()
            jax.block_until_ready(call())
            times.append(1e3 * (time.perf_counter() - start))
        found[name] = statistics.median(times)
    return found


def in_tree(tree: Path, *command: str) -> str:
    """What a program prints that imports jaxbio from a tree."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree.resolve())},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def per_picture(tree: Path, command: tuple[str, ...], rate: str) -> float:
    """Milliseconds a picture takes, of images per second."""
    return 1e3 / float(re.search(rate, in_tree(tree, *command))[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("trees", nargs="*", type=Path, metavar="TREE", help="before, after")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join((*PARTS, *OWN)))
    parser.add_argument("--part", choices=tuple(PARTS), help="measure this tree alone, as JSON")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(measure(options.part)))
        return
    parts = options.only.split(",")
    if len({tree.resolve() for tree in options.trees}) != 2 or not {*parts} <= {*PARTS, *OWN}:
        parser.error(f"give two trees, and --only of {', '.join((*PARTS, *OWN))}")
    for tree in options.trees:
        if not (tree / "jaxbio").is_dir():
            parser.error(f"{tree} holds no jaxbio: give the root of a checkout")
    before, after = options.trees
    print("| program | before | after | after / before |\n|---|---|---|---|")
    for part in parts:
        rounds: dict[Path, list[dict[str, float]]] = {before: [], after: []}
        for number in range(options.rounds):
            for tree in (before, after) if number % 2 else (after, before):
                found = rounds[tree]
                if part in OWN:
                    found.append({k: per_picture(tree, *call) for k, call in OWN[part].items()})
                else:
                    text = in_tree(tree, str(Path(__file__).resolve()), f"--part={part}")
                    found.append(json.loads(text.splitlines()[-1]))
        for name in rounds[before][0]:
            a, b = (statistics.median(r[name] for r in rounds[tree]) for tree in (before, after))
            print(f"| {name} | {a:.2f} | {b:.2f} | {b / a:.2f} |", flush=True)


if __name__ == "__main__":
    main()

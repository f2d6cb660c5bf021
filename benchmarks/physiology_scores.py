"""Scores of networks' first layers against macaque V1: ``python benchmarks/physiology_scores.py``.

One JSON file per network in ``--out``; those that are there are not measured again, so that an
interrupted measurement goes on. Then a table: score over ceiling, raw score, median over units.
Noisy front-ends are measured without their noise: one presentation, no averaging. The published
scores of an ImageNet AlexNet's first pooling stand beside.

``--checkpoint=squeezenet1_0.pth`` (default: ``$JAXBIO_DATA_DIR/imagenet/squeezenet1_0.pth``) is for
``conv1`` and ``pool1``. Layers of trained runs: ``jaxbio evaluate RUN --mode=physiology``.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxbio import create_model
from jaxbio.files import read_json, write_json
from jaxbio.physiology.distributions import PUBLISHED
from jaxbio.physiology.examination import measure_properties, record, score_properties
from jaxbio.physiology.recording import Probe, View
from jaxbio.runs.progress import format_table
from jaxbio.weights import load_torch

_QUIET = {"noise_mode": "none"}
_FRONT_ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "vone": ("vone", _QUIET),
    "svp": ("svp", {}),
    "svp_uniform": ("svp", {"param_mode": "uniform"}),
    "svp_divisive": ("svp", {"normalization": "divisive"}),
    "evnet": ("evnet", {**_QUIET, "retina": _QUIET}),
    "evnet_without_contrast": (
        "evnet",
        {**_QUIET, "retina": {**_QUIET, "contrast_normalization": False}},
    ),
}
_SQUEEZENETS = {  # module, and whether it is trained
    "squeezenet_conv1": ("features_1", True),
    "squeezenet_pool1": ("features_2", True),
    "random_conv1": ("features_1", False),
    "random_pool1": ("features_2", False),
}
NETWORKS = (
    "vone", "svp", "svp_uniform", "squeezenet_conv1", "squeezenet_pool1", "random_conv1",
    "random_pool1", "svp_divisive", "evnet", "evnet_without_contrast",
)  # fmt: skip
_IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
_ALEXNET = {  # raw; Marques et al. 2021
    "grating_summation_field": 0.599,
    "surround_diameter": 0.367,
    "surround_suppression_index": 0.365,
    "preferred_orientation": 0.895,
    "peak_spatial_frequency": 0.775,
    "spatial_frequency_selective": 0.808,
    "spatial_frequency_bandwidth": 0.869,
}


class Layer(NamedTuple):
    """What is recorded from: variables, and (variables, normalised images) to ``[B, H, W, C]``."""

    variables: Any
    maps: Callable[[Any, jax.Array], jax.Array]
    mean: np.ndarray
    std: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--degrees", type=float, default=8.0)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument(
        "--stimuli", nargs="*", default=["orientation", "spatial_frequency", "size"]
    )
    parser.add_argument("--out", type=Path, default=Path("runs/physiology_scores"))
    data = Path(os.environ.get("JAXBIO_DATA_DIR", "."))
    parser.add_argument("--checkpoint", default=data / "imagenet" / "squeezenet1_0.pth")
    options = parser.parse_args()
    settings = {"size": options.size, "degrees": options.degrees, "stimuli": options.stimuli}
    rows = [("network", "property", "units", "undefined", "median", "score", "raw")]
    for name in options.networks:
        file = options.out / f"{name}.json"
        found = read_json(file) if file.exists() else {}
        if found.get("settings") != settings:
            found = {"settings": settings, **_examine(name, options)}
            write_json(file, found)
        print(f"{name}: {found['seconds']:.0f} s, {found['units']} units", flush=True)
        for prop, score in found["scores"].items():
            values = (score["recorded"], score["undefined"], score["median"])
            counts = ("" if value is None else f"{value:.3g}" for value in values)
            rows.append((name, prop, *counts, f"{score['score']:.3f}", f"{score['raw']:.3f}"))
    rows += [
        ("AlexNet, published", prop, "", "", "", "", f"{raw}") for prop, raw in _ALEXNET.items()
    ]
    print(format_table(rows))


def _examine(name: str, options: argparse.Namespace) -> dict[str, Any]:
    start = time.perf_counter()
    layer = _front_end(name, options) if name in _FRONT_ENDS else _squeezenet(name, options)

    def activity(variables: Any, images: jax.Array, key: jax.Array) -> jax.Array:
        maps = layer.maps(variables, (images / 255.0 - layer.mean) / layer.std)
        return maps.astype(jnp.float32).reshape(len(images), -1)

    images = jax.ShapeDtypeStruct((1, options.size, options.size, 3), jnp.float32)
    shape = jax.eval_shape(layer.maps, layer.variables, images).shape[1:]
    view = View(options.size, options.degrees)
    probe = Probe(Partial(activity, layer.variables), view, shape=shape)
    (recording,) = record(probe, options.stimuli, max_units=4096)
    studies = measure_properties(recording)
    scores = {}
    for prop, score in score_properties(studies, PUBLISHED).items():
        study = studies[PUBLISHED[prop].study]
        values = study.values[prop]
        defined = values[~np.isnan(values)]
        median = float(np.median(defined)) if len(defined) else None
        scores[prop] = {**score._asdict(), "recorded": len(values), "median": median}
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "units": len(recording.units), "scores": scores}


def _front_end(name: str, options: argparse.Namespace) -> Layer:
    front_end, fields = _FRONT_ENDS[name]
    model = create_model(
        "squeezenet1_1",
        image_size=options.size,
        front_end=front_end,
        front_end_options={**fields, "visual_degrees": options.degrees},
    )
    images = jnp.zeros((1, options.size, options.size, 3))
    variables = jax.jit(model.init)(jax.random.key(0), images)

    def maps(variables: Any, images: jax.Array) -> jax.Array:
        return model.apply(variables, images)[1]["v1"]

    return Layer(variables, maps, np.full(3, 0.5), np.full(3, 0.5))


def _squeezenet(name: str, options: argparse.Namespace) -> Layer:
    """SqueezeNet 1.0 as trained on ImageNet, or as it is before training."""
    which, trained = _SQUEEZENETS[name]
    model = create_model("squeezenet1_0", image_size=options.size)
    if trained:
        variables = load_torch("squeezenet1_0", options.checkpoint, image_size=options.size)
    else:
        images = jnp.zeros((1, options.size, options.size, 3))
        variables = jax.jit(model.init)(jax.random.key(0), images)

    def maps(variables: Any, images: jax.Array) -> jax.Array:
        if which == "features_2":
            return model.apply(variables, images)[1]["pool1"]
        _, kept = model.apply(
            variables,
            images,
            capture_intermediates=lambda module, _: module.name == which,
            mutable=["intermediates"],
        )
        (found,) = jax.tree.leaves(kept)
        return found

    return Layer(variables, maps, *_IMAGENET)


if __name__ == "__main__":
    main()

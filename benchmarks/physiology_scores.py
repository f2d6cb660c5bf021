"""Scores of fixed front-ends against macaque V1: ``python benchmarks/physiology_scores.py``.

One line per front-end and published property: score over ceiling, raw score, median over units.
``--size=112 --degrees=5.5`` is a fifth of the work of the default.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from jaxbio import create_model
from jaxbio.physiology.distributions import PUBLISHED
from jaxbio.physiology.examination import measure_properties, record, score_properties
from jaxbio.physiology.recording import Probe, View
from jaxbio.runs.progress import format_table

_DETERMINISTIC = {"noise_mode": "none"}
FRONT_ENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "vone": ("vone", _DETERMINISTIC),
    "svp": ("svp", {}),
    "svp_uniform": ("svp", {"param_mode": "uniform"}),
    "svp_divisive": ("svp", {"normalization": "divisive"}),
    "evnet": ("evnet", {**_DETERMINISTIC, "retina": _DETERMINISTIC}),
    "evnet_without_contrast": (
        "evnet",
        {**_DETERMINISTIC, "retina": {**_DETERMINISTIC, "contrast_normalization": False}},
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--degrees", type=float, default=8.0)
    parser.add_argument("--front_ends", nargs="*", default=list(FRONT_ENDS), choices=FRONT_ENDS)
    parser.add_argument(
        "--stimuli", nargs="*", default=["orientation", "spatial_frequency", "size"]
    )
    options = parser.parse_args()
    rows = [("front-end", "property", "units", "undefined", "median", "score", "raw")]
    for name in options.front_ends:
        start = time.perf_counter()
        studies, scores = _examine(name, options)
        for prop, score in scores.items():
            values = studies[PUBLISHED[prop].study].values[prop]
            defined = values[~np.isnan(values)]
            median = f"{np.median(defined):.3g}" if len(defined) else ""
            count = (str(len(values)), str(score.undefined))
            rows.append((name, prop, *count, median, f"{score.score:.3f}", f"{score.raw:.3f}"))
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
    print(format_table(rows))


def _examine(name: str, options: argparse.Namespace) -> tuple[Any, Any]:
    front_end, fields = FRONT_ENDS[name]
    model = create_model(
        "squeezenet1_1",
        image_size=options.size,
        front_end=front_end,
        front_end_options={**fields, "visual_degrees": options.degrees},
    )
    images = jnp.zeros((1, options.size, options.size, 3))
    variables = jax.jit(model.init)(jax.random.key(0), images)

    def layer(variables: Any, images: jax.Array, key: jax.Array) -> jax.Array:
        _, endpoints = model.apply(variables, (images / 255.0 - 0.5) / 0.5)
        return endpoints["v1"].reshape(len(images), -1)

    probe = Probe(Partial(layer, variables), View(options.size, options.degrees))
    (recording,) = record(probe, options.stimuli, max_units=4096)
    studies = measure_properties(recording)
    return studies, score_properties(studies, PUBLISHED)


if __name__ == "__main__":
    main()

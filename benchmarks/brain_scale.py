"""Time and memory of scoring every layer of a network whose layers are too wide to keep.

    PYTHONPATH=. python benchmarks/brain_scale.py --views=40     # 1,960 images of 224 px
    PYTHONPATH=. python benchmarks/brain_scale.py --voxels=50000 --views=4 --layers=pool3

The path of ``evaluate.py --mode=similarity --max_units=0``: activity of all units, then RSA, PLS
and ridge of each layer against each of four regions. Weights are random and recordings simulated:
scores mean nothing, times and memory do. Every phase's seconds and the process's largest memory so
far are printed when it ends.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio import create_model
from jaxbio.features import FeatureRequest
from jaxbio.measures import layer_activity as activities
from jaxbio.measures.brain import brains
from jaxbio.measures.scores import MEASURES
from jaxbio.neural import Recordings, synthetic_recordings
from jaxbio.ops.images import Preprocessing
from jaxbio.similarity.predictivity import _pls_scores, _scores

_REGIONS = ("V1", "V2", "V4", "IT")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vgg16")
    parser.add_argument("--layers", default="all", help="with commas")
    parser.add_argument("--views", type=int, default=40, help="images of each of 49 objects")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--voxels", type=int, default=168, help="of each region")
    parser.add_argument("--regions", type=int, default=4)
    parser.add_argument("--measures", default="rsa,pls,ridge")
    parser.add_argument(
        "--programs", action="store_true", help="compile PLS and ridge, run nothing"
    )
    options = parser.parse_args()
    if options.programs:
        programs(49 * options.views, options.voxels)
        return
    began = time.monotonic()
    streamed = activities.products

    def timed(blocks):
        start = time.monotonic()
        found = streamed(blocks)
        say(f"products of {found.units} units took {time.monotonic() - start:.1f} s", began)
        return found

    activities.products = timed
    size = options.image_size
    one = synthetic_recordings(views=options.views, image_size=size, sites=168, repetitions=2)
    assert one.responses is not None  # simulated
    rng = np.random.default_rng(0)
    regions = {}
    for name in _REGIONS[: options.regions]:  # mixtures of the simulated sites, with noise
        mix = rng.normal(size=(168, options.voxels)).astype(np.float32) / 13
        responses = one.responses.mean(2).astype(np.float32) @ mix
        responses += 0.3 * rng.standard_normal(responses.shape, np.float32)
        region = Recordings(name, one.stimuli, responses=responses[..., None], synthetic=True)
        regions[name] = brains(region, "mean", 0)[0]
    images = one.stimuli.read_images(size)
    model = create_model(options.model, num_classes=1000, image_size=size)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, size, size, 3)))
    variables = jax.tree.map(
        lambda x: rng.standard_normal(x.shape, np.float32) * (2 * x.shape[-1] / x.size) ** 0.5,
        shapes,
    )
    say(f"{len(images)} images, {options.voxels} voxels in {len(regions)} regions, network", began)
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        activity = activities.layer_activity(
            model,
            variables,
            images,
            FeatureRequest(options.layers.split(",")),
            Preprocessing(size, (0.5,) * 3, (0.5,) * 3),
            scratch=Path(scratch),
        )
    kinds = ", ".join(
        f"{place} {x.shape[1]}{'' if isinstance(x, np.ndarray) else ' (streamed)'}"
        for place, x in activity.items()
    )
    say(f"activity and products of {kinds}", began)
    for measure in options.measures.split(","):
        for place, x in activity.items():
            for brain in regions.values():
                MEASURES[measure].score(brain, {str(place): x})
            say(f"{measure} of {place}", began)


def programs(images: int, voxels: int) -> None:
    """What XLA says of the memory of ten splits of a streamed layer."""
    train, test = (np.zeros((10, n), np.int32) for n in (images * 9 // 10, images // 10))
    for name, dtype, program in (
        ("pls", np.float64, lambda x, y: _pls_scores(x, y, train, test, 25)),
        ("ridge", np.float32, lambda x, y: _scores(x, y, train, test, np.float32(1), "ridge")),
    ):
        with jax.enable_x64(dtype == np.float64):
            shapes = [jax.ShapeDtypeStruct((1, images, n), dtype) for n in (images, voxels)]
            memory: Any = jax.jit(program).lower(*shapes).compile().memory_analysis()
        sizes = (memory.argument_size_in_bytes, memory.temp_size_in_bytes)
        arguments, temporaries = (size / 2**30 for size in sizes)
        print(f"{name}: {images} images, {voxels} voxels, 10 splits: arguments {arguments:.2f} GiB,"
              f" temporaries {temporaries:.2f} GiB", flush=True)  # fmt: skip


def say(what: str, began: float) -> None:
    """Seconds since the beginning, and the most memory so far."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{time.monotonic() - began:7.1f} s {most:6.2f} GiB  {what}", flush=True)


if __name__ == "__main__":
    main()

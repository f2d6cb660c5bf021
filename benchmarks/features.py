"""Feature extraction from a folder of JPEGs against the bare model, and its memory.

  python benchmarks/features.py --models=resnet50,cornet_s
  python benchmarks/features.py --memory

The first command compares, side by side, the compiled forward pass on images in memory (logits
only, nothing written) with extraction: files decoded, layers computed, fetched and written to HDF5.
The second runs evaluate.py on 1,000 images with all layers of ResNet-50, and prints the peak memory
of that process. JPEGs are synthetic, 400x350 pixels, and in the system's file cache.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

import jaxbio
from jaxbio.data.settings import Settings
from jaxbio.features import Extractor, FeatureRequest
from jaxbio.features.content_key import describe, digest_variables
from jaxbio.features.pictures import open_pictures
from jaxbio.features.store import Writer
from jaxbio.features.streaming import fill
from jaxbio.ops.images import Preprocessing
from jaxbio.runs.checkpoints import export_variables

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default="resnet50,cornet_s", help="names, or one for --memory")
    parser.add_argument("--layers", default="penultimate", help="of the comparison")
    parser.add_argument("--images", type=int, default=0, help="default: 512; --memory: 1000")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16, help="of the comparison")
    parser.add_argument("--repeats", type=int, default=3, help="the median counts")
    parser.add_argument("--memory", action="store_true", help="all layers: peak memory")
    args = parser.parse_args()
    images = args.images or (1000 if args.memory else 512)
    models = args.models.split(",")
    devices = f"{os.cpu_count()} CPUs, {jax.devices()[0].device_kind} x {jax.device_count()}"
    print(f"{devices}, {args.image_size} px, {images} images")
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder) / "images", images)
        if args.memory:
            memory(models[0], args.image_size, Path(folder))
            return
        header = f"{'model':<14}{'bare images/s':>14}{'extraction':>12}{'share':>8}"
        print(header)
        for name in models:
            layers = args.layers.split(",")
            bare, full = compare(
                name, layers, args.image_size, args.batch, Path(folder), args.repeats
            )
            print(f"{name:<14}{bare:>14.1f}{full:>12.1f}{full / bare:>8.1%}", flush=True)


def compare(
    name: str, layers: list[str], size: int, batch: int, folder: Path, repeats: int
) -> tuple[float, float]:
    """Medians of (bare model, extraction) in images per second."""
    model, variables = build(name, size)

    @jax.jit
    def forward(variables, images):
        return model.apply(variables, Preprocessing(0, _MEAN, _STD).normalise(images))[0]

    images = jnp.zeros((batch, size, size, 3), jnp.uint8)
    extraction = Extraction(name, model, variables, layers, size, batch, folder)
    forward(variables, images).block_until_ready()
    extraction.seconds()
    count = len(extraction.stimuli)
    bare, full = [], []
    for _ in range(repeats):
        began = time.perf_counter()
        for _ in range(-(-count // batch)):
            forward(variables, images).block_until_ready()
        bare.append(-(-count // batch) * batch / (time.perf_counter() - began))
        full.append(count / extraction.seconds())
    return statistics.median(bare), statistics.median(full)


def memory(name: str, size: int, folder: Path) -> None:
    """Runs the command itself, as a process, and prints its speed and peak memory."""
    arguments = {"name": name, "num_classes": 1000, "image_size": size, "front_end": "none"}
    arguments |= {"front_end_options": {}, "activation": "relu"}
    export_variables(folder / "run", arguments, build(name, size)[1], provenance={})
    root = Path(__file__).parents[1]
    output = folder / "features.h5"
    command = [sys.executable, str(root / "evaluate.py"), "--mode=features", "--layers=all"]
    command += [f"--config={root / 'configs' / 'svp_resnet.py'}", f"--workdir={folder / 'run'}"]
    command += [f"--images={folder / 'images'}", f"--config.data.image_size={size}"]
    began = time.perf_counter()
    subprocess.run([*command, f"--output={output}"], check=True, cwd=root)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"{seconds:.0f} s from start to end, file of {output.stat().st_size / 2**30:.2f} GiB, "
        f"peak memory {peak:.2f} GiB"
    )


class Extraction:
    """The work of ``evaluate.py --mode=features``, repeatable without compiling anew."""

    def __init__(self, name, model, variables, layers, size, batch, folder):
        self.stimuli = open_pictures(folder / "images")
        self.output = folder / "features.h5"
        self.extractor = Extractor(
            model, variables, FeatureRequest(layers), Preprocessing(size, _MEAN, _STD)
        )
        self._settings = Settings(image_size=size)
        self._batch = batch
        self._description = describe(
            self.extractor,
            weights=digest_variables(variables),
            model={"name": name},
            preprocessing={},
            stimuli=self.stimuli.digest(),
            batch_size=batch,
        )

    def seconds(self) -> float:
        """Time of one extraction of all images into a new file."""
        began = time.perf_counter()
        layers, names = self.extractor.layers, self.stimuli.names
        with Writer(self.output, layers, names, self._description, {}) as writer:
            fill(writer, self.extractor, self.stimuli, self._settings, self._batch)
            writer.finish()
        seconds = time.perf_counter() - began
        self.output.unlink()
        return seconds


def build(name: str, size: int):
    """A model with its initial weights."""
    model = jaxbio.create_model(name, image_size=size)
    images = jnp.zeros((1, size, size, 3))
    return model, jax.jit(model.init)(jax.random.key(0), images)


def write_jpegs(folder: Path, count: int) -> None:
    """Random coarse patterns with noise, compressed about as ImageNet's photographs."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (14, 16, 3), dtype=np.uint8))
        pixels = np.asarray(coarse.resize((400, 350), Image.Resampling.BICUBIC), np.int16)
        noisy = (pixels + rng.integers(-12, 13, pixels.shape)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:05d}.jpg", quality=85)


if __name__ == "__main__":
    main()

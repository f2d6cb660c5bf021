"""Images per second that the input pipeline delivers on this machine, and whether a model waits.

  python benchmarks/input_pipeline.py
  python benchmarks/input_pipeline.py --model_images_per_s=1500

The JPEGs are synthetic: random coarse patterns with noise, 400x350 pixels, about the size and
compression of ImageNet's. Files come from the system's file cache: disks are not measured.
MNIST is included where JAXBIO_DATA_DIR has it.
"""

import argparse
import dataclasses
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from PIL import Image

from jaxbio.data import DataError, eval_batches, open_source, train_batches
from jaxbio.data.types import FileSplit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=512, help="synthetic JPEGs to write")
    parser.add_argument("--batch", type=int, default=64, help="images per batch")
    parser.add_argument("--image_size", type=int, default=224, help="side of the JPEGs' output")
    parser.add_argument("--threads", type=int, default=0, help="data.num_threads; 0: automatic")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements; the median counts")
    parser.add_argument(
        "--model_images_per_s", type=float, default=0.0, help="what a model consumes, to compare"
    )
    args = parser.parse_args()

    rows = []
    with tempfile.TemporaryDirectory() as root:
        write_jpegs(root, args.images)
        folder = {"source": "folder", "data_dir": root, "image_size": args.image_size}
        rows += measure(args, "JPEG 400x350", **folder, augmentation="crop_flip")
    rows += measure(args, "digits", source="digits", image_size=32, augmentation="shift")
    try:
        rows += measure(args, "mnist", source="mnist", image_size=28, augmentation="shift")
    except DataError as error:
        print(f"mnist left out: {error}")

    print(f"{os.cpu_count()} CPUs, batch {args.batch}, median of {args.repeats}")
    header = f"{'source':<14}{'pixels':>7}  {'pipeline':<18}{'images/s':>10}"
    print(header + (f"{'x model':>9}" if args.model_images_per_s else ""))
    for name, pixels, what, rate in rows:
        line = f"{name:<14}{pixels:>7}  {what:<18}{rate:>10.0f}"
        if args.model_images_per_s:
            line += f"{rate / args.model_images_per_s:>9.1f}"
        print(line)


def measure(args: argparse.Namespace, name: str, **settings) -> list[tuple[str, int, str, float]]:
    """Rows of the table for one source."""
    cfg = SimpleNamespace(**settings, num_threads=args.threads)
    source = open_source(cfg)
    batch = min(args.batch, source.num_train, source.num_eval)
    train = train_batches(source, cfg, global_batch_size=batch, seed=0)
    train_rates = [rate(train, args.seconds) for _ in range(args.repeats)]
    del train
    source = dataclasses.replace(source, eval=enlarged(source.eval, 200_000))
    passes = (eval_batches(source, cfg, global_batch_size=batch) for _ in itertools.count())
    evaluate = itertools.chain.from_iterable(passes)
    eval_rates = [rate(evaluate, args.seconds) for _ in range(args.repeats)]
    return [
        (name, cfg.image_size, f"train, {cfg.augmentation}", statistics.median(train_rates)),
        (name, cfg.image_size, "evaluation", statistics.median(eval_rates)),
    ]


def enlarged(split, count: int):
    """The split, repeated to at least ``count`` examples: passes outlast their start-up."""
    times = -(-count // len(split))
    changes = {"labels": np.tile(split.labels, times)}
    if isinstance(split, FileSplit):
        changes["paths"] = split.paths * times
    else:
        changes["images"] = np.tile(split.images, (times, 1, 1, 1))
    return dataclasses.replace(split, **changes)


def rate(batches: Iterator[dict[str, np.ndarray]], seconds: float) -> float:
    """Images per second over at least ``seconds``, after one batch of warming up."""
    next(batches)
    began, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < seconds:
        batch = next(batches)
        count += int(batch["mask"].sum()) if "mask" in batch else len(batch["label"])
    return count / elapsed


def write_jpegs(root: str, count: int) -> None:
    """Synthetic JPEGs in two classes, for training and (a quarter of them) for evaluation."""
    rng = np.random.default_rng(0)
    for split, number in (("train", count), ("val", max(2, count // 4))):
        for i in range(number):
            folder = os.path.join(root, split, f"class{i % 2}")
            os.makedirs(folder, exist_ok=True)
            coarse = Image.fromarray(rng.integers(0, 256, (35, 40, 3), dtype=np.uint8))
            pixels = np.asarray(coarse.resize((400, 350), Image.Resampling.BICUBIC), np.float32)
            pixels = (pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, f"{i}.jpg"), quality=90)


if __name__ == "__main__":
    main()

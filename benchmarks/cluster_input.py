"""Grain beside jaxbio's pipeline (tf.data) on the same JPEGs: images/s, memory, start-up.

  python benchmarks/cluster_input.py                       # synthetic JPEGs, 400x350
  python benchmarks/cluster_input.py --data=photographs/   # or a tar

Needs ``pip install grain``, which jaxbio does not. Each contender is a process of its own, and
they take turns. All shuffle an epoch globally, crop at random, resize to --image_size, flip and
batch; jaxbio reads its shards, Grain ArrayRecord files with a picture per group. Grain decodes with
Pillow, in threads or in worker processes. Start-up: from the start of the process to the first
batch. Memory: what all its processes hold at the end, shared pages counted once.
"""

import argparse
import dataclasses
import io
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

CONTENDERS = ("jaxbio", "grain, threads", "grain, processes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="", help="pictures by class; default: synthetic JPEGs")
    parser.add_argument("--images", type=int, default=512, help="synthetic JPEGs to write")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="or processes")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one measurement")
    parser.add_argument("--repeats", type=int, default=3, help="measurements; the median counts")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.contender:
        print(json.dumps(measured(args)))
        return
    with tempfile.TemporaryDirectory() as work:
        args.work = work
        write(args)
        rounds = {name: [] for name in CONTENDERS}
        for _ in range(args.repeats):
            for name in CONTENDERS:
                rounds[name].append(in_a_process(args, name))
    print(f"{os.cpu_count()} CPUs, batch {args.batch}, medians of {args.repeats}")
    print(f"{'':<18}{'images/s':>10}{'start-up s':>12}{'memory MiB':>12}")
    for name, results in rounds.items():
        rate, start, memory = (statistics.median(r[i] for r in results) for i in range(3))
        print(f"{name:<18}{rate:>10.0f}{start:>12.1f}{memory / 2**20:>12.0f}")


def in_a_process(args: argparse.Namespace, contender: str) -> list[float]:
    names = ("batch", "image_size", "threads", "seconds", "work")
    words = [f"--{name}={getattr(args, name)}" for name in names]
    began = time.time()
    done = subprocess.run(
        [sys.executable, __file__, f"--contender={contender}", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{contender}: {done.stderr[-2000:]}")
    rate, first, memory = json.loads(done.stdout.splitlines()[-1])
    return [rate, first - began, memory]


def write(args: argparse.Namespace) -> None:
    """The pictures as jaxbio's shards, and the same as ArrayRecord files."""
    from array_record.python.array_record_module import ArrayRecordWriter

    from benchmarks.input_pipeline import write_jpegs
    from jaxbio.data import open_source
    from jaxbio.data.shard_writer import write_shards
    from jaxbio.data.splits import encoded

    place = args.data
    if not place:
        place = os.path.join(args.work, "jpeg")
        write_jpegs(place, args.images)
    source = open_source(SimpleNamespace(source="folder", data_dir=place))
    if not source.num_train:
        source = dataclasses.replace(source, train=source.eval)
    write_shards(source, Path(args.work) / "shards", 8)
    for shard in range(8):
        name = os.path.join(args.work, f"train-{shard}.array_record")
        writer = ArrayRecordWriter(name, "group_size:1")
        for i in range(shard, source.num_train, 8):
            writer.write(encoded(source.train, i))
        writer.close()


def measured(args: argparse.Namespace) -> tuple[float, float, int]:
    """Images per second, the time of the first batch, bytes."""
    make = jaxbio_batches if args.contender == "jaxbio" else grain_batches
    batches = make(args)
    next(batches)
    first = time.time()
    next(batches)
    began, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - began) < args.seconds:
        count += len(next(batches))
    return count / elapsed, first, memory_of(os.getpid())


def jaxbio_batches(args: argparse.Namespace):
    from jaxbio.data import open_source, train_batches

    cfg = SimpleNamespace(
        source="shards",
        data_dir=os.path.join(args.work, "shards"),
        image_size=args.image_size,
        augmentation="crop_flip",
        num_threads=args.threads,
    )
    batches = train_batches(open_source(cfg), cfg, global_batch_size=args.batch, seed=0)
    return (batch["image"] for batch in batches)


def grain_batches(args: argparse.Namespace):
    import grain
    import numpy as np
    from absl import flags

    flags.FLAGS.mark_as_parsed()  # worker processes ask for them
    files = sorted(map(str, Path(args.work).glob("*.array_record")))
    data = grain.MapDataset.source(grain.sources.ArrayRecordDataSource(files))
    data = data.seed(0).shuffle().repeat().random_map(Crop(args.image_size))
    processes = args.contender.endswith("processes")
    threads = 1 if processes else args.threads
    reading = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * args.batch)
    data = data.to_iter_dataset(reading).batch(args.batch, batch_fn=np.stack)
    if processes:
        data = data.mp_prefetch(grain.MultiprocessingOptions(num_workers=args.threads))
    return iter(data)


@dataclasses.dataclass(frozen=True)
class Crop:
    """Torchvision's random resized crop and flip, on an encoded picture, with Pillow."""

    side: int

    def __call__(self, content: bytes, rng):
        import numpy as np
        from PIL import Image

        image = Image.open(io.BytesIO(content))
        width, height = image.size
        box = (0, 0, width, height)
        for _ in range(10):
            area = width * height * rng.uniform(0.08, 1.0)
            ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
            w, h = round((area * ratio) ** 0.5), round((area / ratio) ** 0.5)
            if 1 <= w <= width and 1 <= h <= height:
                left, top = rng.integers(width - w + 1), rng.integers(height - h + 1)
                box = (left, top, left + w, top + h)
                break
        image = image.convert("RGB").crop(box)
        pixels = np.asarray(image.resize((self.side, self.side), Image.Resampling.BILINEAR))
        return pixels[:, ::-1] if rng.random() < 0.5 else pixels


def memory_of(process: int) -> int:
    """Bytes of a process and all below it; pages that several share are counted once."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    below = Path(f"/proc/{process}/task").glob("*/children")
    children = itertools.chain.from_iterable(path.read_text().split() for path in below)
    own = 1024 * int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])
    return own + sum(memory_of(int(child)) for child in children)


if __name__ == "__main__":
    main()

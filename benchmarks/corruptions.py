"""Times ``jaxbio.corruptions`` against imagecorruptions, side by side in one process.

    python benchmarks/corruptions.py                     # 19 corruptions x severities 1, 3, 5
    python benchmarks/corruptions.py --reference_images=0   # ours only, as on a GPU

Per cell: milliseconds per image of the compiled corruption (median of ``--repeats`` batches, after
compilation, uint8 in and out on the device) and of the reference (median over images, one by one,
as users call it; OpenCV keeps its threads), their ratio, the compilation time and the memory that
the compiled program needs beside its input and output. The reference's glass_blur is a Python loop
in the released version and takes hundreds of times longer than the rest, so totals are given with
and without it. On a busy machine look at the last column: the reference's processor time over
ours, summed over cores.
"""

import argparse
import json
import resource
import statistics
import time
from pathlib import Path

import jax
import numpy as np

from jaxbio.corruptions import corrupt, corrupt_reference, corruption_names


def pictures(batch: int, size: int) -> np.ndarray:
    """Smooth pictures with edges and some texture, uint8."""
    rng = np.random.default_rng(0)
    blocks = -(-size // 16)
    coarse = np.kron(rng.uniform(0, 255, (batch, blocks, blocks, 3)), np.ones((1, 16, 16, 1)))
    fine = rng.normal(0, 8, (batch, size, size, 3))
    return np.clip(coarse[:, :size, :size] + fine, 0, 255).astype(np.uint8)


def time_ours(images, name: str, severity: int, repeats: int) -> dict[str, float]:
    key = jax.random.key(0)
    start = time.perf_counter()
    program = jax.jit(lambda x, k: corrupt(x, name, severity, k)).lower(images, key).compile()
    seconds = time.perf_counter() - start
    program(images, key).block_until_ready()
    times = []
    work = time.process_time()
    for _ in range(repeats):
        start = time.perf_counter()
        program(images, key).block_until_ready()
        times.append(time.perf_counter() - start)
    work = time.process_time() - work
    memory = program.memory_analysis()
    return {
        "ours_ms": 1e3 * statistics.median(times) / len(images),
        "ours_cpu_ms": 1e3 * work / repeats / len(images),
        "compile_s": seconds,
        "temp_mib": memory.temp_size_in_bytes / 2**20 if memory else float("nan"),
    }


def time_reference(
    images: np.ndarray, name: str, severity: int, number: int
) -> tuple[float, float]:
    """Median milliseconds per image, and mean milliseconds of processor time."""
    number = min(number, 2) if name == "glass_blur" else number
    corrupt_reference(images[0], name, severity, 0)
    times = []
    work = time.process_time()
    for i in range(number):
        start = time.perf_counter()
        corrupt_reference(images[i % len(images)], name, severity, i)
        times.append(time.perf_counter() - start)
    work = time.process_time() - work
    return 1e3 * statistics.median(times), 1e3 * work / number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--severities", default="1,3,5")
    parser.add_argument("--corruptions", default="all")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--reference_images", type=int, default=8, help="0: ours only")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    subset = options.corruptions in ("all", "benchmark", "validation")
    names = corruption_names(options.corruptions) if subset else options.corruptions.split(",")
    host = pictures(options.batch, options.size)
    images = jax.device_put(host)
    device = jax.devices()[0]
    print(
        f"{device.device_kind}, {options.batch} images of {options.size} px, jax {jax.__version__}"
    )
    print(
        f"{'corruption':22}{'ours ms':>9}{'ref. ms':>9}{'ratio':>7}"
        f"{'compile s':>11}{'temp MiB':>10}{'cpu ratio':>11}"
    )
    rows = []
    for name in names:
        for severity in map(int, options.severities.split(",")):
            row = {"name": name, "severity": severity}
            row |= time_ours(images, name, severity, options.repeats)
            reference, work = "", ""
            if options.reference_images:
                wall, cpu = time_reference(host, name, severity, options.reference_images)
                row |= {"reference_ms": wall, "reference_cpu_ms": cpu}
                reference = f"{wall:9.2f}{wall / row['ours_ms']:7.1f}"
                work = f"{cpu / row['ours_cpu_ms']:11.1f}"
            rows.append(row)
            print(f"{name + ' ' + str(severity):22}{row['ours_ms']:9.3f}{reference:16}"
                  f"{row['compile_s']:11.2f}{row['temp_mib']:10.1f}{work}", flush=True)  # fmt: skip
    for label, chosen in (
        ("total", rows),
        ("without glass_blur", [r for r in rows if r["name"] != "glass_blur"]),
    ):
        ours = sum(r["ours_ms"] for r in chosen)
        line = f"{label}: {ours:.1f} ms per image in {len(chosen)} cells"
        if options.reference_images and chosen:
            reference = sum(r["reference_ms"] for r in chosen)
            line += f", reference {reference:.1f} ms, ratio {reference / ours:.1f}"
            work = [sum(r[k] for r in chosen) for k in ("reference_cpu_ms", "ours_cpu_ms")]
            line += f" (processor time {work[0]:.0f} against {work[1]:.0f} ms)"
        print(line)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(f"largest program: {max(r['temp_mib'] for r in rows):.0f} MiB beside input and output; "
          f"peak of the process {peak:.0f} MiB")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"device": device.device_kind, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()

"""V1 front-end against the published dense formulation in PyTorch, side by side.

The dense formulation is two convolutions of 3 colour channels with all filters (simple cells never
use the second), then ReLU, sqrt of the energy, and the 1x1 bottleneck. Both compute the same
filters on the same images in float32; their runs alternate in one process. Peak memory is that of a
process of its own that runs one of the two; JAX's includes the compiler's.
"""

import argparse
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxbio.models.front_end import V1
from jaxbio.ops.v1 import constants_to_bank

try:
    import torch
except ImportError:
    torch = None


def setup(options: argparse.Namespace) -> tuple[V1, dict, np.ndarray]:
    model = V1(image_size=options.size, same_color=options.same_color)
    shape = (options.batch, options.size, options.size, 3)
    x = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    return model, jax.jit(model.init)(jax.random.key(0), jnp.asarray(x[:1])), x


def jax_runner(model: V1, variables: dict, x: np.ndarray) -> Callable[[], np.ndarray]:
    apply = jax.jit(lambda variables, x: model.apply(variables, x)[0])
    x = jnp.asarray(x)
    return lambda: np.asarray(apply(variables, x))


def torch_runner(model: V1, variables: dict, x: np.ndarray) -> Callable[[], np.ndarray]:
    q0, q1, simple = constants_to_bank(variables["constants"])
    q0, q1 = torch.from_numpy(q0), torch.from_numpy(q1)
    kernel = np.asarray(variables["params"]["bottleneck"]["kernel"]).transpose(3, 2, 0, 1)
    kernel = torch.from_numpy(kernel.copy())
    images = torch.from_numpy(x.transpose(0, 3, 1, 2).copy())

    @torch.inference_mode()
    def run() -> np.ndarray:
        geometry = {"stride": model.stride, "padding": model.kernel_size // 2}
        a = torch.nn.functional.conv2d(images, q0, **geometry)
        b = torch.nn.functional.conv2d(images, q1, **geometry)
        energy = torch.sqrt(a[:, simple:] ** 2 + b[:, simple:] ** 2) / 2**0.5
        cells = model.k_exc * torch.cat((torch.relu(a[:, :simple]), energy), 1)
        return torch.nn.functional.conv2d(torch.relu(cells), kernel).numpy()

    return run


RUNNERS = {"jaxbio": jax_runner, "PyTorch dense": torch_runner}


def peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss, VmHWM does not begin with the parent's peak
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
        if found:
            return int(found[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measured_peak(name: str, options: argparse.Namespace) -> tuple[float, float]:
    """Peak resident memory of a process that runs one of the two, and its growth while running."""
    command = [sys.executable, __file__, "--memory_of", name]
    command += ["--batch", str(options.batch), "--size", str(options.size)]
    command += ["--same_color"] * options.same_color
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    peak, growth = map(float, output.split()[-2:])
    return peak, growth


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8, help="images per call (default 8)")
    parser.add_argument("--size", type=int, default=224, help="side of the images (default 224)")
    parser.add_argument("--repeats", type=int, default=9, help="timed calls each (default 9)")
    parser.add_argument("--same_color", action="store_true", help="complex cells of one colour")
    parser.add_argument("--memory_of", choices=RUNNERS, help=argparse.SUPPRESS)
    options = parser.parse_args()

    model, variables, x = setup(options)
    if options.memory_of:
        run = RUNNERS[options.memory_of](model, variables, x)
        before = peak_mib()
        for _ in range(2):
            run()
        print(peak_mib(), peak_mib() - before)
        return

    names = list(RUNNERS)
    if torch is None:
        names.remove("PyTorch dense")
        print("PyTorch is not installed: nothing to compare with")
    runs = {name: RUNNERS[name](model, variables, x) for name in names}
    outputs = {name: run() for name, run in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(options.repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)

    print(f"V1, {options.batch} images of {options.size} px, {jax.default_backend()}")
    print(f"{'':16}{'images/s':>10}{'peak MiB':>10}{'growth':>8}")
    for name in names:
        rate = options.batch / np.median(seconds[name])
        peak, growth = measured_peak(name, options)
        print(f"{name:16}{rate:10.1f}{peak:10.0f}{growth:8.0f}")
    if len(names) == 2:
        ours, theirs = (seconds[name] for name in names)
        print(f"ratio of medians {np.median(theirs) / np.median(ours):.2f}")
        gold = outputs["PyTorch dense"].transpose(0, 2, 3, 1)
        error = np.abs(outputs["jaxbio"] - gold).max() / np.abs(gold).max()
        print(f"max |difference| / max |dense| {error:.1e}")


if __name__ == "__main__":
    main()

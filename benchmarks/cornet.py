"""Speed of the CORnets, side by side with plain PyTorch if installed, and compile times.

    PYTHONPATH=. python benchmarks/cornet.py            # forward of Z, RT, S; training step of S
    PYTHONPATH=. python benchmarks/cornet.py --compile  # compile time against the number of steps

Prints images per second: the median over rounds in which jaxbio and PyTorch take turns, so that a
busy machine slows both. The PyTorch networks follow the papers' description.
"""

import argparse
import os
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks.networks import compare, jaxbio_runs
from jaxbio import create_model

try:
    import torch
    from torch import nn
except ImportError:
    torch = None

if torch is not None:
    AREAS = (("V1", 64), ("V2", 128), ("V4", 256), ("IT", 512))

    class Readout(nn.Module):
        """Mean over the map, then a linear layer."""

        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(512, 1000)

        def forward(self, x):
            """Runs the module."""
            return self.linear(x.mean((2, 3)))

    def torch_z() -> nn.Module:
        layers, channels = [], 3
        for i, (_, width) in enumerate(AREAS):
            kernel, stride = (7, 2) if i == 0 else (3, 1)
            layers.append(nn.Conv2d(channels, width, kernel, stride, kernel // 2))
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
            channels = width
        return nn.Sequential(*layers, Readout())

    class LateralArea(nn.Module):
        """Input stage, state added, 3x3 convolution."""

        def __init__(self, channels: int, width: int, kernel: int, stride: int):
            super().__init__()
            self.width, self.stride = width, stride
            self.input = nn.Sequential(
                nn.Conv2d(channels, width, kernel, stride, kernel // 2),
                nn.GroupNorm(32, width),
                nn.ReLU(inplace=True),
            )
            self.output = nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.GroupNorm(32, width),
                nn.ReLU(inplace=True),
            )

        def forward(self, x, state):
            """Runs the module; ``x`` is None before the first input."""
            drive = state if x is None else self.input(x) + state
            return self.output(drive)

    class LateralNetwork(nn.Module):
        """CORnet-RT: every area reads the previous step of the area below."""

        def __init__(self, times: int = 5):
            super().__init__()
            self.times, channels, areas = times, 3, []
            for i, (_, width) in enumerate(AREAS):
                areas.append(LateralArea(channels, width, *((7, 4) if i == 0 else (3, 2))))
                channels = width
            self.areas, self.readout = nn.ModuleList(areas), Readout()

        def forward(self, x):
            """Runs the module."""
            size, states = x.shape[2], []
            for area in self.areas:
                size = -(-size // area.stride)
                states.append(x.new_zeros(len(x), area.width, size, size))
            for t in range(self.times):
                below = [x, *(states[:-1] if t else [None] * 3)]
                states = [a(b, s) for a, b, s in zip(self.areas, below, states, strict=True)]
            return self.readout(states[-1])

    class BottleneckArea(nn.Module):
        """CORnet-S: a bottleneck that runs several times, with norms of each time."""

        def __init__(self, channels: int, width: int, times: int):
            super().__init__()
            wide = 4 * width
            self.input = nn.Conv2d(channels, width, 1, bias=False)
            self.skip = nn.Sequential(
                nn.Conv2d(width, width, 1, 2, bias=False), nn.BatchNorm2d(width)
            )
            self.reduce = nn.Conv2d(width, wide, 1, bias=False)
            self.spatial = nn.Parameter(torch.randn(wide, wide, 3, 3) * (2 / (9 * wide)) ** 0.5)
            self.expand = nn.Conv2d(wide, width, 1, bias=False)
            self.norms = nn.ModuleList(
                nn.ModuleList(nn.BatchNorm2d(n) for n in (wide, wide, width)) for _ in range(times)
            )

        def forward(self, x):
            """Runs the module."""
            x = self.input(x)
            for t, (first, second, third) in enumerate(self.norms):
                shortcut = x if t else self.skip(x)
                x = torch.relu_(first(self.reduce(x)))
                x = nn.functional.conv2d(x, self.spatial, stride=1 if t else 2, padding=1)
                x = torch.relu_(second(x))
                x = torch.relu_(third(self.expand(x)) + shortcut)
            return x

    def torch_s() -> nn.Module:
        first = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        first += [nn.MaxPool2d(3, 2, 1), nn.Conv2d(64, 64, 3, padding=1, bias=False)]
        first += [nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        areas = [
            BottleneckArea(64, 128, 2),
            BottleneckArea(128, 256, 4),
            BottleneckArea(256, 512, 2),
        ]
        return nn.Sequential(*first, *areas, Readout())

    TORCH = {"cornet_z": torch_z, "cornet_rt": LateralNetwork, "cornet_s": torch_s}

    def torch_runs(name: str, batch: int, size: int) -> dict[str, Callable]:
        """Functions that run one forward pass and one training step, float32."""
        model = TORCH[name]()
        x, labels = torch.randn(batch, 3, size, size), torch.randint(0, 1000, (batch,))
        optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4)

        def forward():
            model.eval()
            with torch.inference_mode():
                model(x)

        def train():
            model.train()
            optimizer.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(model(x), labels).backward()
            optimizer.step()

        return {"forward": forward, "train": train}


def speeds(options: argparse.Namespace) -> None:
    print("network     what     jaxbio    PyTorch   ratio (images/s)")
    for case in options.cases:
        name, mode = case.split(":")
        size = (options.batch, options.size)
        runs = {"jaxbio": jaxbio_runs(name, "none", *size, jnp.dtype(options.dtype))[mode]}
        if torch is not None and jax.default_backend() == "cpu":
            runs["torch"] = torch_runs(name, *size)[mode]
        seconds = compare(runs, options.rounds)
        rates = {key: options.batch / value for key, value in seconds.items()}
        shown = ""
        if "torch" in rates:
            shown = f"{rates['torch']:9.2f} {rates['jaxbio'] / rates['torch']:7.2f}"
        print(f"{name:11} {mode:8} {rates['jaxbio']:7.2f} {shown}", flush=True)


def compile_times(options: argparse.Namespace) -> None:
    """Seconds to trace and compile the forward pass and its gradient, without any cache."""
    print("network     steps   forward   gradient (seconds)")
    jax.config.update("jax_enable_compilation_cache", False)
    x = jax.ShapeDtypeStruct((options.batch, options.size, options.size, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    for name in ("cornet_rt", "cornet_s"):
        for steps in options.times:
            model = create_model(name, times=steps, image_size=options.size)
            variables = dict(jax.eval_shape(model.init, key, x))
            params = variables.pop("params")

            def loss(params, rest, x, model=model):
                variables = {"params": params, **rest}
                return model.apply(variables, x, True, mutable=["batch_stats"])[0][0].sum()

            seconds = []
            for function in (loss, jax.grad(loss)):
                start = time.perf_counter()
                jax.jit(function).lower(params, variables, x).compile()
                seconds.append(time.perf_counter() - start)
            print(f"{name:11} {steps:5} {seconds[0]:9.1f} {seconds[1]:9.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["cornet_z:forward", "cornet_rt:forward", "cornet_s:forward", "cornet_s:train"],
        help="NETWORK:forward or NETWORK:train; cornet_z, cornet_rt, cornet_s",
    )
    parser.add_argument("--compile", action="store_true", help="compile times instead")
    parser.add_argument("--times", nargs="+", type=int, default=[5, 20, 80])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(
        f"{jax.default_backend()}, {os.cpu_count()} cores, load {load:.1f}, batch {options.batch}"
    )
    (compile_times if options.compile else speeds)(options)


if __name__ == "__main__":
    main()
